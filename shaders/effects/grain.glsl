// Film grain, another with every picture.
// kind colour
// param amount 0 0 1 "film grain"
// param size 1.5 1 8 px log "of one grain"

vec3 grain(vec3 colour, vec2 place) {
    vec2 cell = floor(gl_FragCoord.xy * (1.0 / max(size * pixel, 1.0))) + fract(time * 7.31) * vec2(271.0, 137.0);
    float noise = fract(dot(cell, vec2(0.7549, 0.5698)));
    noise = fract(noise * (cell.x * 0.731 + cell.y * 1.173 + 17.0));
    float lighter = amount * noise - 0.5 * amount;
    return colour + lighter * (0.9 * colour + 0.06);
}
