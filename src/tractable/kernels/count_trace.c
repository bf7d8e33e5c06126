/* The trace: for every part that was summed, what its two branches were products of. */
#include "count_search.h"
void note_literal(Search *s, int32_t lit) {(void)s;(void)lit;}
void note_leaf(Search *s, int32_t var, double share) {(void)s;(void)var;(void)share;}
void note_node(Search *s, uint32_t node) {(void)s;(void)node;}
void note_branch(Search *s) {(void)s;}
uint32_t trace_close(Search *s, Level *l, Number total) {(void)s;(void)l;(void)total;return 0;}
void trace_marginals(Search *s, uint32_t root, double *of_literals) {(void)s;(void)root;(void)of_literals;}
