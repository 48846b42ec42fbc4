#version 330
// Enlarges the generator's image across, at its own height: the first of two passes. Colour by the interpolating cubic
// (Catmull-Rom), as sharp as cubics get; alpha is the level whose lines are drawn, by the cubic B-spline, so that it
// is twice differentiable and its lines are smooth.

uniform sampler2D image;
uniform sampler2D levels;  // as high as the image, far fewer columns
uniform float width;       // of what is drawn, in pixels

out vec4 colour;

// The generator pads with zeros: its outermost two pixels are a frame of another light, so those within stand for them.
const int FRAME = 2;

// output:   |   .   |   .   |     its centre, in texels from the centre of the first one: base + t
// input:  -----base---------+1---
void place(int count, out int base, out float t) {
    float at = gl_FragCoord.x * float(count) / width - 0.5;
    base = int(floor(at));
    t = at - float(base);
}

void main() {
    int row = int(gl_FragCoord.y), base, count = textureSize(image, 0).x;
    float t;
    place(count, base, t);
    float t2 = t * t, t3 = t2 * t;
    vec4 w = vec4(-0.5 * t3 + t2 - 0.5 * t, 1.5 * t3 - 2.5 * t2 + 1.0, -1.5 * t3 + 2.0 * t2 + 0.5 * t, 0.5 * (t3 - t2));
    ivec4 column = clamp(ivec4(base - 1, base, base + 1, base + 2), FRAME, count - 1 - FRAME);
    colour.rgb = w.x * texelFetch(image, ivec2(column.x, row), 0).rgb + w.y * texelFetch(image, ivec2(column.y, row), 0).rgb
               + w.z * texelFetch(image, ivec2(column.z, row), 0).rgb + w.w * texelFetch(image, ivec2(column.w, row), 0).rgb;

    count = textureSize(levels, 0).x;
    place(count, base, t);
    t2 = t * t, t3 = t2 * t;
    w = vec4(1.0 - 3.0 * t + 3.0 * t2 - t3, 4.0 - 6.0 * t2 + 3.0 * t3, 1.0 + 3.0 * t + 3.0 * t2 - 3.0 * t3, t3) / 6.0;
    column = clamp(ivec4(base - 1, base, base + 1, base + 2), 0, count - 1);
    colour.a = w.x * texelFetch(levels, ivec2(column.x, row), 0).r + w.y * texelFetch(levels, ivec2(column.y, row), 0).r
             + w.z * texelFetch(levels, ivec2(column.z, row), 0).r + w.w * texelFetch(levels, ivec2(column.w, row), 0).r;
}
