#version 330
// Where each corner of a grid looks in the image: slow motion, and effects that bend, cost corners and not pixels.

in vec2 corner;  // -1..1

uniform vec2 cover;     // share of the window that the grid covers
uniform vec2 edge;      // where the window's edges are, from the middle; the nearer one is at 1
uniform vec2 view;      // what is seen of the image there, turned: 0.5 is all; image sides are 1
uniform vec2 shift;
uniform float warp;   // greatest displacement, in image sides
uniform vec4 phases;  // of the four waves that bend the image, in radians
uniform float time;    // see picture.frag for these
uniform float frames;

noperspective out vec2 at;
noperspective out vec2 place;
noperspective out vec2 bent;  // the part of `at` that pixels take from here which find the rest out themselves

vec2 moved(vec2 place);  // is written for the effects that say where to look

void main() {
    place = corner * edge;
    vec2 there = moved(place);
    vec2 look = vec2(view.x * there.x - view.y * there.y, view.y * there.x + view.x * there.y);
    vec2 drift = look + shift;
    vec4 waves = sin(vec4(drift.y, drift.x, drift.x + drift.y, drift.x - drift.y) * vec4(5.3, 4.7, 3.1, 3.7) + phases);
    drift += warp * (0.6 * waves.xy + 0.4 * waves.zw);
    at = vec2(drift.x, -drift.y) + 0.5;  // the image's first row is its top
    bent = at - vec2(look.x, -look.y);
    gl_Position = vec4(corner * cover, 0.0, 1.0);
}
