/* hash.c: SHA-256, by libmd. */
#include <sha2.h>

#include "tlc.h"

void sha256(const void *data, size_t bytes, char hex[65]) { SHA256Data(data, bytes, hex); }

/* Two models with the same hash fit the same weights and treat pictures alike: input and layers
 * count, phases and precision do not. */
const char *hash_model(const Model *m)
{
    Text text = {0};
    add_text(&text, "input %d %d %d%s\n", m->height, m->width, m->channels,
             m->nearest ? " nearest" : "");
    for (int i = 0; i < m->layer_count; i++) {
        const Layer *l = m->layers[i];
        add_text(&text, "%s %s(%s) %s\n", l->name, l->op->name, l->input ? l->input->name : "input",
                 attrs_text(l->op->attrs, l->values));
    }
    char *hex = alloc(65, 1);
    sha256(text.data, text.length, hex);
    return hex;
}
