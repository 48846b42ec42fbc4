// Lights and shadows driven apart.
// kind colour
// param amount 0 -1 1 "drives light and dark apart; below 0 together"

vec3 contrast(vec3 colour, vec2 place) {
    vec3 from = clamp(colour, 0.0, 1.0);
    return colour + amount * (from * from * (3.0 - 2.0 * from) - from) * 1.8;
}
