// The last picture stays under the new one, grown, turned and recoloured a little: from picture to picture a tunnel.
// kind echo
// uses show.feedback
// param zoom 0.01 -0.05 0.05 /frame "how fast what feedback keeps grows; below 0 it shrinks"
// param turn 0 -3 3 deg/frame "how fast what feedback keeps turns"
// param colour 0 0 0.2 /frame "how fast what feedback keeps changes its colour"

vec3 echo(vec3 seen, vec2 place) {
    vec3 kept = last(place - frames * (zoom * place + turn * vec2(-place.y, place.x)));
    kept = mix(kept, kept.brg, min(frames * colour, 0.5));
    return max(seen, kept * feedback - 0.003);
}
