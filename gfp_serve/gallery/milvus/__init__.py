"""Galleries in Milvus, for more items or more servers than one machine can handle. Needs the extra `milvus`."""
