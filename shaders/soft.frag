#version 330
// A small copy of the image's bright parts, blurred by a Gaussian a few of its own pixels wide: for all that glows.

noperspective in vec2 at;

uniform sampler2D before;
uniform float spacing;  // between two taps, in image sides

out vec4 colour;

void main() {
    vec3 sum = vec3(0);
    float total = 0.0;
    for (int y = -3; y <= 3; y++)
        for (int x = -3; x <= 3; x++) {
            vec3 seen = texture(before, at + spacing * vec2(x, y)).rgb;
            float weight = exp(-0.22 * float(x * x + y * y)), most = max(seen.r, max(seen.g, seen.b));
            sum += weight * smoothstep(0.4, 1.0, most) * seen;
            total += weight;
        }
    colour = vec4(sum / total, 1);
}
