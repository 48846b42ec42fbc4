#version 330
// A picture drawn elsewhere, brought to the window's size, with the effects that follow an echo, the master's light and
// a dither against bands.

noperspective in vec2 at;

uniform sampler2D picture;
uniform float light;
uniform float time;    // see picture.frag for these
uniform float frames;
uniform float pixel;
uniform vec2 onto;

out vec4 colour;

vec3 effects(vec2 place);

vec3 source(vec2 place) {
#ifdef WARPED
    vec2 seen_at = place * onto + 0.5;
    return texture(picture, abs(seen_at - 2.0 * roundEven(0.5 * seen_at))).rgb;
#else
    return texture(picture, at).rgb;
#endif
}

void main() {
    float noise = fract(52.9829 * fract(dot(gl_FragCoord.xy, vec2(0.06711, 0.005837))));
    colour = vec4(min(effects((at - 0.5) / onto), 1.0) * light + (noise - 0.5) / 256.0, 1.0);
}
