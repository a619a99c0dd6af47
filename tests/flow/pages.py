"""The memory that a plain image and its parents hold, read without any code of ours: CRIU's
pagemap-*.img and pages-*.img (criu/images/pagemap.proto)."""
import glob
import hashlib
import os
import struct

PAGE = 4096
PARENT, PRESENT = 1, 4  # flags of an entry
ZERO = hashlib.sha1(bytes(PAGE)).digest()


def messages(path):
    """The protobuf messages of a CRIU image, each as {field: number}."""
    with open(path, "rb") as f:
        data = f.read()
    at = 8  # two magics
    while at < len(data):
        size = struct.unpack_from("<I", data, at)[0]
        yield fields(data[at + 4:at + 4 + size])
        at += 4 + size


def fields(data):
    found, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        assert tag & 7 == 0, "a pagemap has numbers only"
        found[tag >> 3] = varint()
    return found


def pages_of(folder, name):
    """{address: hash} of one pagemap, what is all zero left out."""
    path = f"{folder}/{name}"
    if not os.path.exists(path):
        return {}
    head, *entries = messages(path)
    with open(f"{folder}/pages-{head[1]}.img", "rb") as f:
        data = f.read()
    found, at, parent = {}, 0, None
    for entry in entries:
        address, count = entry[1], entry.get(5) or entry[2]
        flags = entry.get(4, PARENT if entry.get(3) else PRESENT)
        for page in range(address, address + count * PAGE, PAGE):
            if flags & PRESENT:
                found[page] = hashlib.sha1(data[at:at + PAGE]).digest()
                at += PAGE
            elif flags & PARENT:
                if parent is None:
                    parent = pages_of(f"{folder}/parent", name)
                found[page] = parent.get(page, ZERO)
    assert at == len(data), f"{path}: {at} bytes of pages, the file has {len(data)}"
    return {page: value for page, value in found.items() if value != ZERO}


def memory(folder):
    """{pagemap: {address: hash}}"""
    return {os.path.basename(p): pages_of(folder, os.path.basename(p))
            for p in glob.glob(f"{folder}/pagemap-*.img")}
