// All of it, turned around the middle.
// kind warp
// param amount 0 -180 180 deg "turns the picture around the middle"

mat4 rotate_once() {
    return mat4(vec4(cos(amount), sin(amount), 0.0, 0.0), vec4(0), vec4(0), vec4(0));
}

vec2 rotate(vec2 place) {
    vec2 by = once[0].xy;
    return vec2(by.x * place.x + by.y * place.y, by.x * place.y - by.y * place.x);
}
