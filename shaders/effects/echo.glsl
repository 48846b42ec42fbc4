// The last picture stays under the new one, grown, turned and recoloured a little: from picture to picture a tunnel.
// kind echo
// uses show.feedback
// param zoom 0.01 -0.05 0.05 /frame "how fast what feedback keeps grows; below 0 it shrinks"
// param turn 0 -3 3 deg/frame "how fast what feedback keeps turns"
// param colour 0 0 0.2 /frame "how fast what feedback keeps changes its colour"

vec3 echo(vec3 seen, vec2 place) {
    float grown = 1.0 - frames * zoom, turned = frames * turn, other = min(frames * colour, 0.5) * feedback;
    vec3 kept = last(vec2(grown * place.x + turned * place.y, grown * place.y - turned * place.x));
    return max(seen, kept * (feedback - other) + kept.brg * other - 0.003);
}
