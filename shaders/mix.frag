#version 330
// Two enlarged images on the way from one to the other: see crossfade.py.

uniform sampler2D first, second;  // rgb and, in alpha, the level; not of one size, perhaps
uniform float balance;            // 0 the first, 1 the second
uniform vec2 shares;              // of either level, counted from its own centre
uniform vec2 centres;
uniform float centre;             // of the mixture

noperspective in vec2 at;

out vec4 colour;

void main() {
    vec4 one = texture(first, at), other = texture(second, at);
    vec3 light = mix(one.rgb * one.rgb, other.rgb * other.rgb, balance);
    colour = vec4(sqrt(light), centre + dot(shares, vec2(one.a, other.a) - centres));
}
