/* libFuzzer entry: any bytes as a picture, in every mode. Seeds: tests/unit/pictures. */
#include <stdlib.h>

#include "data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check(bool condition)
{
    if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    enum { H = 7, W = 5 };
    for (int mode = 0; mode < 4; mode++) {
        int channels = mode & 1 ? 3 : 1;
        RtInterpolation interpolation = mode & 2 ? RT_NEAREST : RT_BILINEAR;
        real pixels[H * W * 3];
        RtImageInfo info;
        bool ok = rt_image_decode(data, bytes, H, W, channels, interpolation, pixels, &info);
        check(ok == !info.problem[0]);
        for (int i = 0; ok && i < H * W * channels; i++) check(pixels[i] >= 0 && pixels[i] <= 255);
    }
    return 0;
}
