// Mirrors that meet in the middle of the window, and reach outwards from there.
// kind warp
// param amount 0 0 1 "mirrors around the middle: how far out they reach, at 0.5 to the nearer edge, at 1 everywhere"
// param sides 6 2 16 "how many mirrors"
// param turn 0 -180 180 deg "where the first mirror stands"

vec2 kaleidoscope(vec2 place) {
    float between = 3.14159265 / floor(sides + 0.5);  // two mirrors
    float far = length(place), angle = atan(place.y, place.x) - turn;
    angle = abs(angle - 2.0 * between * floor(angle / (2.0 * between) + 0.5)) + turn;
    return far * (1.001 - amount) < amount ? far * vec2(cos(angle), sin(angle)) : place;
}
