"""Write schema.json and example.yaml anew: ``python -m umkit.customer [FOLDER]``, parameters by default."""

import sys
from pathlib import Path

from umkit.customer import write_documents

write_documents(Path(sys.argv[1] if len(sys.argv) > 1 else "parameters"))
