"""Runs pkilint's lint_pkix_cert over every *.pem of a directory, in one process: starting one for
each of hundreds of certificates takes minutes. Prints the number of files and the findings of
severity WARNING or worse, as JSON."""

import contextlib
import io
import json
import pathlib
import sys

from pkilint.bin import lint_pkix_cert

files = sorted(pathlib.Path(sys.argv[1]).glob("*.pem"))
findings = []
for file in files:
    report = io.StringIO()
    with contextlib.redirect_stdout(report):
        lint_pkix_cert.main(["lint", "--severity", "WARNING", "--format", "JSON", str(file)])
    for result in json.loads(report.getvalue())["results"]:
        for finding in result["finding_descriptions"]:
            findings.append({"file": file.name, **finding})
json.dump({"files": len(files), "findings": findings}, sys.stdout)
