/* vgg.c: VGG16 and VGG19 (Simonyan and Zisserman, "Very deep convolutional networks for large-scale
 * image recognition", 2014), with Keras's names and its ImageNet weights. */
#include "model.h"

static void add_network(Base *base, const int convolutions[5], bool include_top, int64_t classes,
                        const char *classifier_activation)
{
    static const int filters[] = {64, 128, 256, 512, 512};
    for (int b = 0; b < 5; b++) {
        for (int c = 1; c <= convolutions[b]; c++)
            add_base_layer(base, "Conv2D", format("block%d_conv%d", b + 1, c),
                           format("{\"filters\": %d, \"kernel_size\": 3, \"padding\": \"same\", "
                                  "\"activation\": \"relu\"}",
                                  filters[b]));
        add_base_layer(base, "MaxPooling2D", format("block%d_pool", b + 1),
                       "{\"pool_size\": 2, \"strides\": 2}");
    }
    if (!include_top) return;
    add_base_layer(base, "Flatten", "flatten", "{}");
    add_base_layer(base, "Dense", "fc1", "{\"units\": 4096, \"activation\": \"relu\"}");
    add_base_layer(base, "Dense", "fc2", "{\"units\": 4096, \"activation\": \"relu\"}");
    add_base_layer(base, "Dense", "predictions",
                   format("{\"units\": %lld, \"activation\": \"%s\"}", (long long)classes,
                          classifier_activation ? classifier_activation : "linear"));
}

static void add_vgg16(Base *base, bool include_top, int64_t classes, const char *activation)
{
    add_network(base, (const int[]){2, 2, 3, 3, 3}, include_top, classes, activation);
}

static void add_vgg19(Base *base, bool include_top, int64_t classes, const char *activation)
{
    add_network(base, (const int[]){2, 2, 4, 4, 4}, include_top, classes, activation);
}

const BaseKind base_vgg16 = {
    .type = "VGG16",
    .name = "vgg16",
    .preprocess = "vgg16",
    .file_top = "vgg16_weights_tf_dim_ordering_tf_kernels.h5",
    .md5_top = "64373286793e3c8b2b4e3219cbf3544b",
    .file_notop = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    .md5_notop = "6d6bbae143d832006294945121d1f1fc",
    .url = "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/",
    .min_size = 32,
    .default_size = 224,
    .layers = add_vgg16,
};

const BaseKind base_vgg19 = {
    .type = "VGG19",
    .name = "vgg19",
    .preprocess = "vgg19",
    .file_top = "vgg19_weights_tf_dim_ordering_tf_kernels.h5",
    .md5_top = "cbe5617147190e668d6c5d5026f83318",
    .file_notop = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
    .md5_notop = "253f8cb515780f3b799900260a226db6",
    .url = "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/",
    .min_size = 32,
    .default_size = 224,
    .layers = add_vgg19,
};
