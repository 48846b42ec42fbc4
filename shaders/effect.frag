#version 330
// One effect on the enlarged image, at the image's own scale: a few of these cost what one pass over a window does.

noperspective in vec2 at;  // 0..1; the image's first row is its top

uniform sampler2D before;  // what the effects before this one have made of the image
uniform sampler2D soft;    // what shines in it, blurred: see soft.frag and smooth.frag
uniform vec2 texel;        // size of a pixel of it; image sides are 1
uniform float time;        // seconds, from 0 again every hour
uniform float frames;      // sixtieths of a second since the last picture

out vec4 colour;

vec4 effect(vec2 at);

// Colour, and in alpha the level whose lines are drawn.
vec4 image(vec2 at) {
    return texture(before, at);
}

// The light of bright parts around.
vec3 glow(vec2 at) {
    return texture(soft, at).rgb;
}

void main() {
    colour = effect(at);
}
