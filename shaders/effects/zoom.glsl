// Into the middle, or out to where the picture is mirrored at its own edges.
// kind warp
// param amount 0 -2 2 octaves "into the middle; below 0 out of it, to tiles that mirror each other"

mat4 zoom_once() {
    return mat4(exp2(-amount));
}

vec2 zoom(vec2 place) {
    return place * once[0].x;
}
