"""Records: real ones by default.

`digits` and `patients` come with scikit-learn and need no network. The larger sets are fetched once
from their own sites, checked, and kept; the environment variable ``MIALAB_DATA`` names the folder.
Everything here is NumPy; nothing is ever unpickled, and no archive is unpacked to disk.

    records.py     Records                   records with their labels
    shipped.py     digits, patients          what scikit-learn brings along
    fetched.py     fashion_mnist, cifar10,   what lives elsewhere
                   location30
    genotypes.py   Genotypes, aligned        genomes: how often each person has an allele
    plink.py       read_plink                genomes in PLINK 1's three files
    sources.py                               where it lives, and its checksums
    cache.py       DataError                 fetch once, check, keep
    formats.py                               bytes in, arrays out
"""

from mialab_book.data.cache import DataError
from mialab_book.data.fetched import cifar10, fashion_mnist, location30
from mialab_book.data.genotypes import Genotypes, aligned
from mialab_book.data.plink import read_plink
from mialab_book.data.records import Records
from mialab_book.data.shipped import digits, patients

__all__ = [
    "DataError",
    "Genotypes",
    "Records",
    "aligned",
    "cifar10",
    "digits",
    "fashion_mnist",
    "location30",
    "patients",
    "read_plink",
]
