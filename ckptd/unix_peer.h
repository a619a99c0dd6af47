/* unix_peer.h - who is connected with whom over unix stream sockets, as the kernel tells. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct unix_peer {
    uint32_t inode, peer; /* both ends of one connection, each end once as `inode` */
};

/* Asks by sock_diag(7), UDIAG_SHOW_PEER, for this network namespace; the caller frees. -ENOENT:
 * this kernel has no unix_diag. */
int unix_peers_read(struct unix_peer **ret_peers, size_t *ret_count);
