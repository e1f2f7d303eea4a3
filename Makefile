# The same targets on a laptop and in CI. Each works alone, from a bare clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := .demo
SEEDS := runs/seeds-library
QUESTION ?= Who is the communications director of President Erdogan?
TRAIN ?= train-v1.1.json.gz
MORE ?= amazon_reviews_v1.0.json
NEWS ?= wikinews.jsonl.gz
LEARNT = $(RUN)/news/train.json
OWN = $(RUN)/own.json
MPNET ?=
COMPILED ?=
FLOAT32 ?=
RUN ?= runs/reader
SQUAD ?= $(TRAIN)
KILLS ?= 500

export HF_HUB_OFFLINE := 1

.DELETE_ON_ERROR:
.SECONDARY:
.SECONDEXPANSION:
.PHONY: install demo test e2e fuzz bench-load check seeds-library eval gate gate-run baseline sweep reader bench-index torture clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Quoth needs Python 3.11 or newer with venv: make PYTHON=python3.11 (Debian: apt install python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

demo: install  ## index seeds/articles, ask one question, print the cited answer
	$(BIN)/quoth --library $(DEMO) add seeds/articles
	@echo
	@echo '$$ quoth ask "$(QUESTION)"'
	@echo
	@$(BIN)/quoth --library $(DEMO) ask "$(QUESTION)"

# A process for each core; a file's tests stay together, for they share what is slow to make.
test: install
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

e2e: install  ## drive the page in Chromium; screenshots go to runs/e2e
	QUOTH_E2E=1 $(BIN)/python -m pytest tests/e2e

fuzz: install  ## thousands of requests from the OpenAPI document
	$(BIN)/python -m tests.fuzz

check: install  ## lint, types, imports; the tests hold the docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# Scored in a Library of their own: the demo's may hold whatever its visitors added. Made anew: what an earlier Quoth took in
# may be cut otherwise.
seeds-library: install
	rm -rf $(SEEDS)
	$(BIN)/quoth --library $(SEEDS) add seeds/articles

eval: seeds-library  ## score the seeds
	$(BIN)/quoth --library $(SEEDS) eval run seeds/questions.jsonl --out runs/seeds

gate: gate-run  ## fail if answers to the seeds' report half are worse than the committed baseline's
	$(BIN)/quoth eval compare seeds/baseline runs/gate --gate em,f1,always_f1,success@5 --out runs/gate/comparison.html

baseline: gate-run  ## take this tree's answers as the new baseline: look at `make gate` first
	mkdir -p seeds/baseline
	cp runs/gate/predictions.jsonl runs/gate/passages.jsonl runs/gate/run.json seeds/baseline/

gate-run: seeds-library
	$(BIN)/quoth --library $(SEEDS) eval run seeds/questions.jsonl --split report --out runs/gate

sweep: seeds-library  ## the shipped settings against their neighbours, on the seeds' tune half
	$(BIN)/quoth --library $(SEEDS) eval sweep seeds/questions.jsonl --split tune --out runs/sweep

# MPNET is a folder with the weights of all-mpnet-base-v2, the teacher (training/teacher.py says how to get them); without
# it the reader is trained as far as that goes without one. Give it at every call, or another RUN.
reader: $(RUN)/confidence.json  ## train a reader: make reader TRAIN=train-v1.1.json.gz MORE=amazon.json NEWS=wikinews.jsonl.gz MPNET=folder

$(RUN)/negatives-%.npy: $$($$*) | install
	mkdir -p $(RUN)
	$(BIN)/python -m training.negatives $($*) $@

$(RUN)/first/weights.pt: $(RUN)/negatives-TRAIN.npy
	GLIBC_TUNABLES=$(TUNABLES) $(BIN)/python -m training.train $(RUN)/first --recipe first --data $(TRAIN) --negatives $<

BOTH = --data $(TRAIN) --negatives $(RUN)/negatives-TRAIN.npy --data $(MORE) --negatives $(RUN)/negatives-MORE.npy

# Two runs from the first one's weights, in other orders: their mean is better than either.
$(RUN)/second-%/weights.pt: $(RUN)/first/weights.pt $(RUN)/negatives-MORE.npy
	GLIBC_TUNABLES=$(TUNABLES) $(BIN)/python -m training.train $(@D) --start $< --seed $* $(BOTH)

$(RUN)/mean.pt: $(RUN)/second-8/weights.pt $(RUN)/second-9/weights.pt
	$(BIN)/python -m training.average $@ $^

# Where there is a C++ compiler, COMPILED=--compiled makes the teacher faster.
$(RUN)/teacher/weights.pt: $(RUN)/negatives-TRAIN.npy $(RUN)/negatives-MORE.npy
	GLIBC_TUNABLES=$(TUNABLES) $(BIN)/python -m training.teach $(@D) $(MPNET) $(BOTH) $(COMPILED)

# Of the batches of the longer of two runs; the other's are the first of them.
$(RUN)/labels/made: $(RUN)/teacher/weights.pt
	GLIBC_TUNABLES=$(TUNABLES) $(BIN)/python -m training.labels $(@D) $< $(BOTH) --recipe again $(COMPILED)
	touch $@

$(RUN)/taught/weights.pt: $(RUN)/mean.pt $(RUN)/labels/made
	GLIBC_TUNABLES=$(TUNABLES) $(BIN)/python -m training.train $(@D) --recipe taught --start $< --labels $(RUN)/labels $(BOTH)

# Given twice, it has two thirds of the say.
$(RUN)/taught-mean.pt: $(RUN)/mean.pt $(RUN)/taught/weights.pt
	$(BIN)/python -m training.average $@ $^ $(RUN)/taught/weights.pt

$(RUN)/again/weights.pt: $(RUN)/taught-mean.pt $(RUN)/labels/made
	GLIBC_TUNABLES=$(TUNABLES) $(BIN)/python -m training.train $(@D) --recipe again --start $< --labels $(RUN)/labels $(BOTH)

$(RUN)/again-mean.pt: $(RUN)/taught-mean.pt $(RUN)/again/weights.pt
	$(BIN)/python -m training.average $@ $^

# Our own questions about news, and about invented news (training/news.py).
$(LEARNT): $(NEWS) | install
	$(BIN)/python -m training.news $< $(@D)

# Our own questions about SQuAD's paragraphs (training/encyclopedia.py).
$(OWN): $(TRAIN) | install
	mkdir -p $(RUN)
	$(BIN)/python -m training.encyclopedia $< $@

NEWS_ASKED = --data $(LEARNT) --negatives $(RUN)/negatives-LEARNT.npy
OWN_ASKED = --data $(OWN) --negatives $(RUN)/negatives-OWN.npy
# What is given several times is asked so often in an epoch.
TWICE = 1 2
THRICE = $(TWICE) 3
NINE_TIMES = $(THRICE) 4 5 6 7 8 9
OWN_RUN = GLIBC_TUNABLES=$(TUNABLES) $(BIN)/python -m training.train $(@D) --recipe own --start $< $(BOTH) \
	$(foreach time,$(THRICE),$(NEWS_ASKED)) $(foreach time,$(TWICE),$(OWN_ASKED)) $(FLOAT32)
START = $(RUN)/$(if $(MPNET),again-mean,mean).pt
# Where the processor has neither AMX nor bfloat16 products (avx512_bf16), FLOAT32=--float32 makes it faster.
$(RUN)/news-run/weights.pt: $(START) $(RUN)/negatives-TRAIN.npy $(RUN)/negatives-MORE.npy $(RUN)/negatives-LEARNT.npy
	GLIBC_TUNABLES=$(TUNABLES) $(BIN)/python -m training.train $(@D) --recipe news --start $< $(BOTH) \
		$(foreach time,$(NINE_TIMES),$(NEWS_ASKED)) $(FLOAT32)

$(RUN)/news-mean.pt: $(START) $(RUN)/news-run/weights.pt
	$(BIN)/python -m training.average $@ $^

$(RUN)/own-run/weights.pt: $(RUN)/news-mean.pt $(RUN)/negatives-OWN.npy
	$(OWN_RUN)

$(RUN)/own-mean.pt: $(RUN)/news-mean.pt $(RUN)/own-run/weights.pt
	$(BIN)/python -m training.average $@ $^

# On from there, for longer and in another order.
$(RUN)/own-again/weights.pt: $(RUN)/own-mean.pt $(RUN)/negatives-OWN.npy
	$(OWN_RUN) --steps 3000 --seed 10

$(RUN)/weights.pt: $(RUN)/news-mean.pt $(RUN)/own-run/weights.pt $(RUN)/own-again/weights.pt
	$(BIN)/python -m training.average $@ $^

$(RUN)/reader.onnx: $(RUN)/weights.pt
	$(BIN)/python -m training.export $< $(RUN) $(TRAIN)
	$(BIN)/python -m training.validate $(TRAIN) $(RUN)

# What the confidence is fitted on: questions of articles that the reader has not seen, asked of archives with gaps.
$(RUN)/fit-%.json: $$($$*) | install
	mkdir -p $(RUN)
	$(BIN)/python -m training.split $($*) $@ --lacking 3 $(if $(filter TRAIN,$*),--part fit)

$(RUN)/asked-%.jsonl: $(RUN)/fit-%.json $(RUN)/reader.onnx
	$(BIN)/python -m training.asked $< $@ $(RUN) --questions 1600

$(RUN)/asked-seeds.jsonl: $(RUN)/reader.onnx
	$(BIN)/python -m training.asked seeds/questions.jsonl $@ $(RUN) --articles seeds/articles --half tune

$(RUN)/confidence.json: $(RUN)/asked-TRAIN.jsonl $(RUN)/asked-MORE.jsonl $(RUN)/asked-seeds.jsonl
	$(BIN)/python -m training.confidence $(RUN) $^
	@echo "To ship it: cp $(RUN)/reader.onnx $(RUN)/tokenizer.json $(RUN)/confidence.json qa/weights/"

bench-index: install  ## what an archive costs as it grows to a million passages: make bench-index SQUAD=train-v1.1.json.gz
	mkdir -p runs
	$(BIN)/python -m bench.index $(SQUAD) > runs/bench-index.jsonl
	$(BIN)/python -m bench.growth runs/bench-index.jsonl docs/growth.svg

bench-load: install  ## a server under load, and in trouble: make bench-load ARTICLES="more/articles more.jsonl"
	mkdir -p runs
	$(BIN)/python -m bench.load seeds/articles $(ARTICLES) > runs/bench-load.jsonl

torture: install  ## kill, damage, fill the disk: half an hour and more
	mkdir -p runs
	$(BIN)/python -m tests.torture --kills $(KILLS) --out runs/torture.json

# Large blocks stay with the process instead of going back to the system at every step: 0.57 s a step instead of 0.85.
TUNABLES := glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=8589934592:glibc.malloc.hugetlb=1

clean:
	rm -rf $(VENV) $(DEMO) $(SEEDS) runs/seeds runs/gate runs/sweep
