#version 330
// Enlarges the blurred copy of soft.frag so far that a linear tap does not show its pixels any more: by the cubic
// B-spline, from four linear taps.

noperspective in vec2 at;

uniform sampler2D soft;

out vec4 colour;

void main() {
    vec2 size = vec2(textureSize(soft, 0)), from = at * size - 0.5, t = fract(from), t2 = t * t, t3 = t2 * t;
    vec2 w0 = (1.0 - 3.0 * t + 3.0 * t2 - t3) / 6.0, w1 = (4.0 - 6.0 * t2 + 3.0 * t3) / 6.0, w3 = t3 / 6.0;
    vec2 low = w0 + w1, high = 1.0 - low;
    vec2 a = (floor(from) - 0.5 + w1 / low) / size, b = (floor(from) + 1.5 + w3 / high) / size;
    colour = low.y * (low.x * texture(soft, a) + high.x * texture(soft, vec2(b.x, a.y)))
           + high.y * (low.x * texture(soft, vec2(a.x, b.y)) + high.x * texture(soft, b));
}
