#version 330
// One rectangle of the window.

in vec2 corner;  // 0..1

uniform vec4 place;  // left, bottom, width, height in clip space

out vec2 at;

void main() {
    at = corner;
    gl_Position = vec4(place.xy + corner * place.zw, 0.0, 1.0);
}
