#version 330
// A picture drawn elsewhere, brought to the window's size, with the master's light and a dither against bands.

noperspective in vec2 at;

uniform sampler2D picture;
uniform float light;

out vec4 colour;

void main() {
    float noise = fract(52.9829 * fract(dot(gl_FragCoord.xy, vec2(0.06711, 0.005837))));
    colour = vec4(texture(picture, at).rgb * light + (noise - 0.5) / 256.0, 1.0);
}
