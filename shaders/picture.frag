#version 330
// The picture: the enlarged image with glowing lines along the levels of its own colour, each step between two lines
// in the shade of the next. Sums are ordered so that scalars meet before vectors: a processor may be drawing this.
// WARPED: effects say where to look, which may be beyond the image. FOLDED: some do so for each pixel. TRAIL: over
// what is left of the last picture (echoes); light and dither then come with the last pass.

noperspective in vec2 at;
noperspective in vec2 place;  // from the middle; 1 is the nearer edge

uniform sampler2D enlarged;  // rgb and, in alpha, the level
uniform float contour;       // 0 the image as it is, 1 lines over its darkened ground
uniform float density;       // lines per unit of level
uniform float phase;         // moves the lines along the slope
uniform float halo;          // strength of the light around them
uniform float pixel;         // pixels of this picture per pixel of a 720-line one
uniform float line_fade;     // pixels of this picture over which a line's edge fades
uniform float line_end;      // half a line's width, in those, with all of its edge
uniform float time;          // seconds, from 0 again every hour
uniform float frames;        // sixtieths of a second since the last picture
uniform vec2 onto;           // takes a place to where it is in a texture of the window, but for the middle
#ifdef FOLDED
noperspective in vec2 bent;
uniform vec2 view;  // see picture.vert for both
#endif
#ifdef TRAIL
uniform sampler2D trail;
#else
uniform float light;
#endif

out vec4 colour;

vec3 effects(vec2 place);  // is written for those that act: it asks for `source` somewhere

// Beyond the edges of a texture.
vec2 mirrored(vec2 at) {
    return abs(at - 2.0 * roundEven(0.5 * at));
}

#ifdef TRAIL
// Mirrored once, which is as far as anything travels from one picture to the next: more would cost every pixel.
vec3 last(vec2 place) {
    return texture(trail, 1.0 - abs(1.0 - abs(place * onto + 0.5))).rgb;
}
#endif

vec3 source(vec2 place) {
#ifdef FOLDED
    vec2 look = vec2(view.x * place.x - view.y * place.y, -view.y * place.x - view.x * place.y);
    vec4 seen = texture(enlarged, mirrored(look + bent));
#elif defined(WARPED)
    vec4 seen = texture(enlarged, mirrored(at));
#else
    vec4 seen = texture(enlarged, at);
#endif
    vec3 ground = seen.rgb;
    float level = seen.a * density + phase;
    vec2 slope = vec2(dFdx(level), dFdy(level));
    float steep = sqrt(dot(slope, slope)) + 1e-5;         // level per pixel of this picture,
    float rise = steep * pixel;                           // of a 720-line one
    float above = level - floor(level);                   // way from the line below (0) to the next (1)
    float off = 0.5 - abs(above - 0.5);                   // distance to the nearer one

    // halo: part of the way between lines on gentle slopes, some pixels wide on steep ones; core: a pixel or two;
    // lines closer to each other than they are wide would only shimmer
    float wide = 5.0 * rise + 0.045;
    wide *= wide;
    float core = clamp(line_end - off / (steep * line_fade), 0.0, 1.0);
    float clear = contour * clamp(1.8 - 4.0 * rise, 0.0, 1.0);
    float bright = 1.3 * inversesqrt(dot(ground, ground) + 0.03);  // makes the ground's colour a light
    float tinted = clear * bright * (halo * wide / (wide + off * off) + 0.45 * core);
    float white = 0.4 * clear * core;
    float shade = 1.0 - clear * (0.6 * above * above + 0.25);

    vec3 dark = ground * (ground * (0.35 * contour) + shade);
    return (ground * tinted + white) * (1.0 - 0.6 * dark) + dark;
}

void main() {
#ifdef TRAIL
    colour = vec4(effects(place), 1.0);
#else
    float noise = fract(52.9829 * fract(dot(gl_FragCoord.xy, vec2(0.06711, 0.005837))));
    colour = vec4(min(effects(place), 1.0) * light + (noise - 0.5) / 256.0, 1.0);
#endif
}
