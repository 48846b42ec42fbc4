#version 330
// The operator's panel: text drawn elsewhere, and a level meter that moves with every picture.

in vec2 at;

uniform sampler2D text;
uniform vec4 meter;   // left, top, right, bottom within the panel, 0..1, from its top
uniform float level;  // 0..1

out vec4 colour;

void main() {
    vec2 place = vec2(at.x, 1.0 - at.y);
    colour = texture(text, place);
    vec2 within = (place - meter.xy) / (meter.zw - meter.xy);
    float inside = step(0.0, min(min(within.x, within.y), min(1.0 - within.x, 1.0 - within.y)));
    vec3 bar = within.x > 0.85 ? vec3(1.0, 0.35, 0.2) : vec3(0.3, 0.85, 0.5);
    colour = mix(colour, vec4(mix(vec3(0.2), bar, step(within.x, level)), 1.0), inside);
}
