// Film grain, another with every picture.
// kind colour
// param amount 0 0 1 "film grain"
// param size 1.5 1 8 px log "of one grain"

// What does not depend on the place stands by itself: a processor finds that out for eight pixels at a time.
vec3 grain(vec3 colour, vec2 place) {
    vec2 cell = floor(gl_FragCoord.xy * (1.0 / max(size * pixel, 1.0)));
    vec2 other = fract(time * 7.31) * vec2(271.0, 137.0);
    float noise = fract(dot(cell, vec2(0.7549, 0.5698)) + dot(other, vec2(0.7549, 0.5698)));
    noise = fract(noise * (dot(cell, vec2(0.731, 1.173)) + (dot(other, vec2(0.731, 1.173)) + 17.0)));
    float lighter = amount * noise - 0.5 * amount;
    return colour * (1.0 + 0.9 * lighter) + 0.06 * lighter;
}
