#version 330
// The test pattern, to set up a projector by: a frame at the very edge, squares, a circle that must be round, colour
// bars, and steps of grey of which all should be told apart, the darkest and the lightest ones too.

uniform vec2 size;    // of the window, in pixels
uniform float light;  // 0 while it is blacked out

out vec4 colour;

const vec3 BARS[8] = vec3[8](vec3(1), vec3(1, 1, 0), vec3(0, 1, 1), vec3(0, 1, 0), vec3(1, 0, 1), vec3(1, 0, 0),
                             vec3(0, 0, 1), vec3(0));

void main() {
    vec2 at = floor(gl_FragCoord.xy), middle = 0.5 * size;
    float cell = floor(size.y / 9.0), line = max(floor(size.y / 540.0), 1.0);
    vec2 from = abs(gl_FragCoord.xy - middle);

    vec2 within = mod(from, cell);
    vec3 seen = vec3(min(within.x, within.y) < line ? 0.45 : 0.12);

    // bars above the middle, greys below: each with a ground of its own between it and the squares
    bool inside = from.x < 4.0 * cell;
    float column = clamp(floor((gl_FragCoord.x - middle.x + 4.0 * cell) / cell), 0.0, 7.0);
    float row = (gl_FragCoord.y - middle.y) / cell;
    if (inside && row > 1.0 && row < 2.0) seen = BARS[int(column)];
    if (inside && row > -2.0 && row < -1.0) {
        float step16 = floor((gl_FragCoord.x - middle.x + 4.0 * cell) / (0.5 * cell));
        seen = vec3(step16 / 15.0);
    }
    if (inside && row > -2.5 && row < -2.0) seen = vec3(column * 0.5 / 51.0);        // the darkest
    if (inside && row > -3.0 && row < -2.5) seen = vec3(1.0 - column * 0.5 / 51.0);  // the lightest

    float ring = abs(length(gl_FragCoord.xy - middle) - 4.0 * cell);
    if (ring < line) seen = vec3(1);
    if (from.x < line && from.y < cell || from.y < line && from.x < cell) seen = vec3(1);

    vec2 edge = min(at, size - 1.0 - at);
    if (min(edge.x, edge.y) < line) seen = vec3(1, 0.2, 0.2);
    colour = vec4(seen * light, 1);
}
