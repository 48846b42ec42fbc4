// Light that runs over its edges.
// kind image
// param amount 0 0 1 "bright parts shine over their edges"

vec4 bloom(vec2 at) {
    vec4 seen = image(at);
    vec3 light = glow(at) * (1.5 * amount);
    return vec4(seen.rgb + light * (1.0 - 0.8 * min(seen.rgb, 1.0)), seen.a);
}
