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

// Where `texture` finds the four texels from base - 1 on, in the middle of each. Its filter is NEAREST: on a processor
// it then costs half of what texelFetch does, which looks whether it is within.
vec4 nearest(int base, int frame, int count) {
    ivec4 taps = clamp(ivec4(base - 1, base, base + 1, base + 2), frame, count - 1 - frame);
    return (vec4(taps) + 0.5) / float(count);
}

void main() {
    int base, count = textureSize(image, 0).x;
    float t, row = gl_FragCoord.y / float(textureSize(image, 0).y);
    place(count, base, t);
    float t2 = t * t, t3 = t2 * t;
    vec4 w = vec4(-0.5 * t3 + t2 - 0.5 * t, 1.5 * t3 - 2.5 * t2 + 1.0, -1.5 * t3 + 2.0 * t2 + 0.5 * t, 0.5 * (t3 - t2));
    vec4 column = nearest(base, FRAME, count);
    colour.rgb = w.x * texture(image, vec2(column.x, row)).rgb + w.y * texture(image, vec2(column.y, row)).rgb
               + w.z * texture(image, vec2(column.z, row)).rgb + w.w * texture(image, vec2(column.w, row)).rgb;

    count = textureSize(levels, 0).x;
    place(count, base, t);
    t2 = t * t, t3 = t2 * t;
    w = vec4(1.0 - 3.0 * t + 3.0 * t2 - t3, 4.0 - 6.0 * t2 + 3.0 * t3, 1.0 + 3.0 * t + 3.0 * t2 - 3.0 * t3, t3) / 6.0;
    column = nearest(base, 0, count);
    colour.a = w.x * texture(levels, vec2(column.x, row)).r + w.y * texture(levels, vec2(column.y, row)).r
             + w.z * texture(levels, vec2(column.z, row)).r + w.w * texture(levels, vec2(column.w, row)).r;
}
