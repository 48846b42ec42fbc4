// Outlines that glow in the colours they part, over a ground that darkens.
// kind image
// param amount 0 0 1 "outlines glow and the ground between them darkens"

vec4 edges(vec2 at) {
    const float STEP = 0.004;  // image sides
    vec4 seen = image(at);
    vec3 across = image(at + vec2(STEP, 0)).rgb - image(at - vec2(STEP, 0)).rgb;
    vec3 down = image(at + vec2(0, STEP)).rgb - image(at - vec2(0, STEP)).rgb;
    float edge = sqrt(dot(across, across) + dot(down, down));
    edge = edge / (edge + 0.06);
    vec3 light = seen.rgb * inversesqrt(dot(seen.rgb, seen.rgb) + 0.02);
    return vec4(mix(seen.rgb, 0.3 * seen.rgb + light * (1.7 * edge * edge), amount), seen.a);
}
