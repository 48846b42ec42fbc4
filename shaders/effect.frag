#version 330
// One effect on the enlarged image, at the image's own scale: a few of these cost what one pass over a window does.

noperspective in vec2 at;  // 0..1; the image's first row is its top

uniform sampler2D before;  // what the effects before this one have made of the image
uniform sampler2D soft;    // what shines in it, blurred: see soft.frag
uniform vec2 texel;        // size of a pixel of it; image sides are 1
uniform float time;        // seconds, from 0 again every hour
uniform float frames;      // sixtieths of a second since the last picture

out vec4 colour;

vec4 effect(vec2 at);

// Colour, and in alpha the level whose lines are drawn.
vec4 image(vec2 at) {
    return texture(before, at);
}

// The light of bright parts around. By the cubic B-spline, from four linear taps: its pixels must not show.
vec3 glow(vec2 at) {
    vec2 size = vec2(textureSize(soft, 0)), from = at * size - 0.5, t = fract(from), t2 = t * t, t3 = t2 * t;
    vec2 w0 = (1.0 - 3.0 * t + 3.0 * t2 - t3) / 6.0, w1 = (4.0 - 6.0 * t2 + 3.0 * t3) / 6.0, w3 = t3 / 6.0;
    vec2 low = w0 + w1, high = 1.0 - low;
    vec2 a = (floor(from) - 0.5 + w1 / low) / size, b = (floor(from) + 1.5 + w3 / high) / size;
    return low.y * (low.x * texture(soft, a).rgb + high.x * texture(soft, vec2(b.x, a.y)).rgb)
         + high.y * (low.x * texture(soft, vec2(a.x, b.y)).rgb + high.x * texture(soft, b).rgb);
}

void main() {
    colour = effect(at);
}
