#version 330
// Enlarges what `across.frag` drew down, to its full height: colour by Catmull-Rom, level by the B-spline. Then grades
// the colour: here that is done once per image, and not for every pixel of every picture.

uniform sampler2D source;
uniform float height;  // of what is drawn, in pixels
#ifdef GRADED
uniform mat3 grade;    // hue and saturation
#endif

out vec4 colour;

const int FRAME = 2;  // see across.frag

void main() {
    ivec2 size = textureSize(source, 0);
    float at = gl_FragCoord.y * float(size.y) / height - 0.5;
    int base = int(floor(at));
    float t = at - float(base);
    float t2 = t * t, t3 = t2 * t;
    vec2 w0 = vec2(-0.5 * t3 + t2 - 0.5 * t, (1.0 - 3.0 * t + 3.0 * t2 - t3) / 6.0);
    vec2 w1 = vec2(1.5 * t3 - 2.5 * t2 + 1.0, (4.0 - 6.0 * t2 + 3.0 * t3) / 6.0);
    vec2 w3 = vec2(0.5 * (t3 - t2), t3 / 6.0);
    vec2 w2 = 1.0 - w0 - w1 - w3;
    float column = gl_FragCoord.x / float(size.x);
    // as in across.frag
    ivec4 taps = clamp(ivec4(base - 1, base, base + 1, base + 2), FRAME, size.y - 1 - FRAME);
    vec4 row = (vec4(taps) + 0.5) / float(size.y);
    vec4 seen = w0.xxxy * texture(source, vec2(column, row.x)) + w1.xxxy * texture(source, vec2(column, row.y))
              + w2.xxxy * texture(source, vec2(column, row.z)) + w3.xxxy * texture(source, vec2(column, row.w));
#ifdef GRADED
    seen.rgb = grade * seen.rgb;
#endif
    colour = vec4(max(seen.rgb, 0.0), seen.a);
}
