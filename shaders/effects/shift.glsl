// Red and blue apart, as in a cheap lens, or on a tape that was copied too often.
// kind image
// param amount 0 0 1 "red and blue part, the more the further out"
// param slide 0 -1 1 "and so much to the sides, everywhere"

vec4 shift(vec2 at) {
    vec2 apart = amount * (0.08 * (at - 0.5) + vec2(0.04 * slide, 0.0));
    vec4 seen = image(at);
    return vec4(image(at - apart).r, seen.g, image(at + apart).b, seen.a);
}
