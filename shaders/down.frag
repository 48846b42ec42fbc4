#version 330
// Enlarges what `across.frag` drew down, to its full height: colour by Catmull-Rom, level by the B-spline. Then grades
// the colour: here that is done once per image, and not for every pixel of every picture.

uniform sampler2D source;
uniform float height;  // of what is drawn, in pixels
uniform mat3 grade;    // hue and saturation

out vec4 colour;

const int FRAME = 2;  // see across.frag

void main() {
    int column = int(gl_FragCoord.x), count = textureSize(source, 0).y;
    float at = gl_FragCoord.y * float(count) / height - 0.5;
    int base = int(floor(at));
    float t = at - float(base);
    float t2 = t * t, t3 = t2 * t;
    vec2 w0 = vec2(-0.5 * t3 + t2 - 0.5 * t, (1.0 - 3.0 * t + 3.0 * t2 - t3) / 6.0);
    vec2 w1 = vec2(1.5 * t3 - 2.5 * t2 + 1.0, (4.0 - 6.0 * t2 + 3.0 * t3) / 6.0);
    vec2 w3 = vec2(0.5 * (t3 - t2), t3 / 6.0);
    vec2 w2 = 1.0 - w0 - w1 - w3;
    ivec4 row = clamp(ivec4(base - 1, base, base + 1, base + 2), FRAME, count - 1 - FRAME);
    vec4 seen = w0.xxxy * texelFetch(source, ivec2(column, row.x), 0) + w1.xxxy * texelFetch(source, ivec2(column, row.y), 0)
              + w2.xxxy * texelFetch(source, ivec2(column, row.z), 0) + w3.xxxy * texelFetch(source, ivec2(column, row.w), 0);
    colour = vec4(max(grade * seen.rgb, 0.0), seen.a);
}
