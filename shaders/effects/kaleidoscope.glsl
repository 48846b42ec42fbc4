// Mirrors that meet in the middle of the window, and reach outwards from there.
// kind fold
// param amount 0 0 1 "mirrors around the middle: how far out they reach, at 0.5 to the nearer edge, at 1 everywhere"
// param sides 6 2 16 "how many mirrors"
// param turn 0 -180 180 deg "where the first mirror stands"

// What lies behind a mirror is thrown back by it. The first one throws back half of all; those at 8, 4, 2 and 1 times
// the angle between two then halve what is left, but where they would stand behind the first. Normals are as long as
// the root of 2, so that nothing is left to be doubled for each pixel.
vec2 normal(float angle) {
    return sqrt(2.0) * vec2(-sin(angle), cos(angle));
}

vec2 another(float angle) {
    return angle < 3.14159 ? normal(angle + turn) : vec2(0);
}

vec2 thrown_back(vec2 place, vec2 normal) {
    return place - max(dot(place, normal), 0.0) * normal;
}

mat4 kaleidoscope_once() {
    float between = 3.14159265 / floor(sides + 0.5), reach = amount / (1.001 - amount);
    return mat4(vec4(-normal(turn), another(8.0 * between)), vec4(another(4.0 * between), another(2.0 * between)),
                vec4(another(between), reach * reach, 0.0), vec4(0));
}

vec2 kaleidoscope(vec2 place) {
    vec2 to = thrown_back(place, once[0].xy);
    to = thrown_back(to, once[0].zw);
    to = thrown_back(to, once[1].xy);
    to = thrown_back(to, once[1].zw);
    to = thrown_back(to, once[2].xy);
    return dot(place, place) < once[2].z ? to : place;
}
