// All of it, turned around the middle.
// kind warp
// param amount 0 -180 180 deg "turns the picture around the middle"

vec2 rotate(vec2 place) {
    float c = cos(amount), s = sin(amount);
    return vec2(c * place.x + s * place.y, c * place.y - s * place.x);
}
