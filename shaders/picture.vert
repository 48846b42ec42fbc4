#version 330
// Where each corner of a coarse grid looks in the image: the slow motion costs a few hundred corners, not pixels.

in vec2 corner;  // -1..1

uniform vec2 cover;     // share of the window that the grid covers
uniform vec2 edge;      // where the window's edges are, from the middle; the nearer one is at 1
uniform float inwards;  // what is seen of the image there: 0.5 is all; image sides are 1
uniform vec4 turn;      // 2x2 matrix by columns: rotation, and 1 / zoom
uniform vec2 shift;
uniform float warp;   // greatest displacement, in image sides
uniform vec4 phases;  // of the four waves that bend the image, in radians

noperspective out vec2 at;
noperspective out vec2 place;

void main() {
    place = corner * edge;
    vec2 look = mat2(turn.xy, turn.zw) * (place * inwards) + shift;
    vec4 waves = sin(vec4(look.y, look.x, look.x + look.y, look.x - look.y) * vec4(5.3, 4.7, 3.1, 3.7) + phases);
    look += warp * (0.6 * waves.xy + 0.4 * waves.zw);
    at = vec2(look.x, -look.y) + 0.5;  // the image's first row is its top
    gl_Position = vec4(corner * cover, 0.0, 1.0);
}
