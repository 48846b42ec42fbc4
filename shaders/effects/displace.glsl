// Flows down its own slopes: liquid folds where light meets shadow.
// kind image
// param amount 0 0 1 "the image flows along its own slopes: liquid folds"
// param angle 90 -180 180 deg "0 up the slope, 90 along it, 180 down"

vec4 displace(vec2 at) {
    const float REACH = 0.012;  // image sides
    vec2 slope = vec2(image(at + vec2(REACH, 0)).a - image(at - vec2(REACH, 0)).a,
                      image(at + vec2(0, REACH)).a - image(at - vec2(0, REACH)).a);
    vec2 along = mat2(cos(angle), sin(angle), -sin(angle), cos(angle)) * slope;
    return image(at + amount * along / (1.0 + 4.0 * length(slope)));
}
