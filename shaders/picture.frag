#version 330
// The picture: the enlarged image with glowing lines along the levels of its own colour, each step between two lines
// in the shade of the next. Sums are ordered so that scalars meet before vectors: a processor may be drawing this.
// TRAIL: over what is left of the last picture (feedback); light and dither then come with the last pass.

noperspective in vec2 at;

uniform sampler2D image;  // rgb and, in alpha, the level
uniform float contour;    // 0 the image as it is, 1 lines over its darkened ground
uniform float density;    // lines per unit of level
uniform float phase;      // moves the lines along the slope
uniform float glow;       // strength of their halo
uniform float pixel;      // pixels of this picture per pixel of a 720-line one
#ifdef TRAIL
uniform sampler2D trail;
uniform vec2 texel;
uniform float feedback;
#else
uniform float light;
#endif

out vec4 colour;

void main() {
    vec4 seen = texture(image, at);
    vec3 ground = seen.rgb;
    float level = seen.a * density + phase;
    vec2 slope = vec2(dFdx(level), dFdy(level));
    float rise = sqrt(dot(slope, slope)) * pixel + 1e-5;  // level per pixel
    float above = level - floor(level);                   // way from the line below (0) to the next (1)
    float off = 0.5 - abs(above - 0.5);                   // distance to the nearer one

    // halo: part of the way between lines on gentle slopes, some pixels wide on steep ones; core: a pixel or two;
    // lines closer to each other than they are wide would only shimmer
    float wide = 5.0 * rise + 0.045;
    wide *= wide;
    float core = clamp(1.9 - off / rise, 0.0, 1.0);
    float clear = contour * clamp(1.8 - 4.0 * rise, 0.0, 1.0);
    float bright = 1.3 * inversesqrt(dot(ground, ground) + 0.03);  // makes the ground's colour a light
    float tinted = clear * bright * (glow * wide / (wide + off * off) + 0.45 * core);
    float white = 0.4 * clear * core;
    float shade = 1.0 - clear * (0.6 * above * above + 0.25);

    vec3 dark = ground * (ground * (0.35 * contour) + shade);
    vec3 lit = (ground * tinted + white) * (1.0 - 0.6 * dark) + dark;
#ifdef TRAIL
    vec2 behind = (gl_FragCoord.xy * texel - 0.5) * 0.99 + 0.5;
    colour = vec4(max(lit, texture(trail, behind).rgb * feedback - 0.003), 1.0);
#else
    float noise = fract(52.9829 * fract(dot(gl_FragCoord.xy, vec2(0.06711, 0.005837))));
    colour = vec4(lit * light + (noise - 0.5) / 256.0, 1.0);
#endif
}
