"""Where the files live, and what they must be.

The original site comes first, except for CIFAR-10: its site has been so slow since June 2026 that a
download takes most of an hour and yet never fails, so there the mirrors come first. The checksum decides
what is right, whoever hands it over.
"""

from mialab_book.data.cache import Remote


def _idx(name: str, sha256: str) -> Remote:
    """Describe one of the four files of Fashion-MNIST."""
    folders = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
    )
    file = f"{name}-ubyte.gz"
    return Remote(f"fashion_mnist/{file}", {f"{folder}/{file}": f"sha256:{sha256}" for folder in folders})


# The checksums are those of real copies, and those that TensorFlow Datasets publishes.
FASHION_MNIST = {
    "train": (
        _idx("train-images-idx3", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        _idx("train-labels-idx1", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    ),
    "test": (
        _idx("t10k-images-idx3", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        _idx("t10k-labels-idx1", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
}

# TensorFlow Datasets publishes the SHA-256 of the original archive. Apache MXNet packed the same batches anew
# and publishes the SHA-1 of its archive and of every batch.
_ORIGINAL = "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
_MXNET = "sha1:fab780a1e191a7eda0f345501ccd62d20f7ed891"
_CIFAR10_FOLDERS = {
    "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset/cifar10": _MXNET,
    "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10": _ORIGINAL,
    "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets": _ORIGINAL,
    "https://cave.cs.toronto.edu/kriz": _ORIGINAL,
    "https://www.cs.toronto.edu/~kriz": _ORIGINAL,
}
CIFAR10 = Remote(
    "cifar10/cifar-10-binary.tar.gz",
    {f"{folder}/cifar-10-binary.tar.gz": checksum for folder, checksum in _CIFAR10_FOLDERS.items()},
)
CIFAR10_BATCHES = {
    "train": {
        "data_batch_1.bin": "aadd24acce27caa71bf4b10992e9e7b2d74c2540",
        "data_batch_2.bin": "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795",
        "data_batch_3.bin": "1dd00a74ab1d17a6e7d73e185b69dbf31242f295",
        "data_batch_4.bin": "aab85764eb3584312d3c7f65fd2fd016e36a258e",
        "data_batch_5.bin": "26e2849e66a845b7f1e4614ae70f4889ae604628",
    },
    "test": {"test_batch.bin": "67eb016db431130d61cd03c7ad570b013799c88c"},
}

# The checksum is that of a real copy.
LOCATION30 = Remote(
    "location30/dataset_location.tgz",
    dict.fromkeys(
        (
            "https://github.com/privacytrustlab/datasets/raw/master/dataset_location.tgz",
            "https://raw.githubusercontent.com/privacytrustlab/datasets/master/dataset_location.tgz",
        ),
        "sha256:927203f85a868f8ee17a0ded1dc61699efe602167beabe34fbf45b4b1de94b33",
    ),
)
