// A few shades only, and between them a pattern of dots: an old screen, a cheap printer.
// kind colour
// param amount 0 0 1 "few shades, and dots between them"
// param shades 3 2 8 "of each colour"
// param size 3 1 16 px log "of a dot"

vec3 dither(vec3 colour, vec2 place) {
    // threshold 0..1 of each of 4x4 dots: the digits of x and x ^ y, woven
    vec2 cell = floor(gl_FragCoord.xy / max(size * pixel, 1.0)), low = mod(cell, 2.0), high = mod(floor(cell * 0.5), 2.0);
    float threshold = (8.0 * abs(low.x - low.y) + 4.0 * low.y + 2.0 * abs(high.x - high.y) + high.y + 0.5) / 16.0;
    float steps = floor(shades + 0.5) - 1.0;
    return mix(colour, floor(clamp(colour, 0.0, 1.0) * steps + threshold) / steps, amount);
}
