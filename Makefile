# SPDX-License-Identifier: MIT
# The commands people type; CMakeLists.txt and CMakePresets.json do the work.
#   make demo [PICTURES="a.jpg b.png"]   installs what is missing, builds, shows pictures as tokens
#   make check                           installs what is missing, builds, runs every test
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
# tests.xml is what scripts/test-summary.sh reads.
CTEST = ctest --output-on-failure --no-tests=error --output-junit tests.xml --test-output-size-passed 1000000
# Tests that measure, look at the source tree, at names in objects or at help texts alone gain nothing from a
# sanitizer; of golden cases on Vulkan the host's part is that of the tests of ops and batches, and the driver
# is not instrumented.
# Commands of docs/SYSTEMS.md and files for other people's libraries are written by verbs that have scripts of their
# own, and golden cases of published sizes run what small ones of the same families have run.
UNSANITIZED = ^(arrows|arrows_selftest|golden_sources|headers|exports|install_consumers|packages|portable_calls|options_off|coopmat_sources|summary_of_tests|radv_spills|gpu_bounds|gpu_bounds_counting|gpu_estimate|python_package|usage|manual_pages|completions|bench_rows|videos_killed|golden_.*_vulkan|systems|dataset_libraries|golden_shared_(towers_siglip-so400m-384|towers_clip-l14-336|emu3_full|arcface_r100))$$
# Tests of what threads share, for ThreadSanitizer; nothing else is built for it.
THREADED = test_threads test_batching test_two_contexts test_fork test_pipeline test_video test_serve_queue
# What lasts long there and gives the program good input, or whose code smaller tests run, too: `make
# check-long` runs these.
SANITIZED_LONG = ^(terminal|pillow_pictures|batch_two_drivers|batch_devices|devices_agree|video_verbs|videos|videos_out|dataset_golden|dataset_round_trips|dataset_verbs|eval_judges|eval_pictures|report_runs|report_page|report_chromium|serve_chromium|run_pictures|text_faces|text_drawing|picture_formats|vocabulary_maps|token_files|model_names|item_keys|kept_outputs|features|clip_codebook|exact_products|test_karl|test_judge_metrics|test_mosaic_device|golden_shared_(inception_rfid-mini|i3d_rgb|karl_vae-tiny|karl_vae-tiny-continuous|karl_vqgan-tiny-continuous|arcface_r50))$$
# Build folders whose suites have run; what ran and what was skipped in each is said at the end.
SUITES ?= build/sanitize

.PHONY: help demo check check-long check-sanitize check-sanitize-long check-tsan build format coverage fuzz bench install package clean

help:
	@echo 'make demo [PICTURES="a.jpg b.png"]  install what is missing, build, encode and decode pictures'
	@echo 'make check           install what is missing, build, run the whole test suite, then with sanitizers,'
	@echo '                     then the tests of threads under ThreadSanitizer;'
	@echo '                     says at the end how many tests ran, how many were skipped and why'
	@echo 'make check-long      what large Python libraries (torch, ray, datatrove, ...) make of our files; downloads gigabytes;'
	@echo '                     a minute of hostile clients of tessera serve, long tests under sanitizers, pipelines on eight chips, and'
	@echo '                     every test built without the optional libraries'
	@echo 'make check-sanitize  the suite under AddressSanitizer and UndefinedBehaviorSanitizer alone'
	@echo 'make check-tsan      the tests of threads under ThreadSanitizer alone'
	@echo 'make build           the release build: build/release/tessera'
	@echo 'make install         the release build under PREFIX (default /usr/local), DESTDIR honoured'
	@echo 'make package         Debian packages: build/package/*.deb'
	@echo 'make bench           benchmark rows of every device, as JSON'
	@echo 'make coverage        line coverage of the library (needs gcovr)'
	@echo 'make fuzz            every fuzz target for FUZZ_SECONDS (default 60) seconds (needs clang)'
	@echo 'make format          clang-format over our C sources'
	@echo 'make clean           remove build/'

build:
	cmake --preset release -DTESSERA_TESTS=OFF
	cmake --build --preset release -j $(JOBS)

demo:
	@bash scripts/install-deps.sh demo
	@$(MAKE) --no-print-directory build
	@bash scripts/demo.sh $(PICTURES)

check:
	@bash scripts/install-deps.sh check
	cmake --preset release -DTESSERA_TESTS=ON -DTESSERA_WERROR=ON
	cmake --build --preset release -j $(JOBS)
	@cd build/release && { $(CTEST) -j $(JOBS); status=$$?; \
	bash $(CURDIR)/scripts/test-summary.sh $(CURDIR)/build/release && exit $$status; }
	@$(MAKE) --no-print-directory check-sanitize
	@$(MAKE) --no-print-directory check-tsan SUITES="build/release build/sanitize build/tsan"

check-long:
	@bash scripts/install-deps.sh check
	cmake --preset release -DTESSERA_TESTS=ON
	cmake --build --preset release -j $(JOBS) --target tessera_cli make_samples
	@bash scripts/check-long.sh

check-sanitize: SANITIZED = -E '$(UNSANITIZED)|$(SANITIZED_LONG)'
check-sanitize-long: SANITIZED = -R '$(SANITIZED_LONG)'
check-sanitize check-sanitize-long:
	cmake --preset sanitize
	cmake --build --preset sanitize -j $(JOBS)
	@cd build/sanitize && { \
	ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 \
	LSAN_OPTIONS=suppressions=$(CURDIR)/tests/lsan.supp:print_suppressions=0 \
	UBSAN_OPTIONS=print_stacktrace=1 $(CTEST) -j $(JOBS) $(SANITIZED); \
	status=$$?; cd $(CURDIR) && bash scripts/test-summary.sh $(SUITES) && exit $$status; }

# Its shadow memory and some kernels' random addresses do not go together: the addresses give way.
# In a child of a process with threads it would end the child: there it goes on, without looking.
check-tsan: SUITES = build/tsan
check-tsan:
	cmake --preset tsan
	cmake --build --preset tsan -j $(JOBS) --target $(THREADED)
	@fixed=; setarch $$(uname -m) -R true 2>/dev/null && fixed="setarch $$(uname -m) -R"; cd build/tsan && { \
	TSAN_OPTIONS=suppressions=$(CURDIR)/tests/tsan.supp:print_suppressions=0:die_after_fork=0 \
	$$fixed $(CTEST) -j $(JOBS) -L "^($$(echo $(THREADED) | tr ' ' '|'))$$"; \
	status=$$?; cd $(CURDIR) && bash scripts/test-summary.sh $(SUITES) && exit $$status; }

format:
	git ls-files -z '*.c' '*.h' | xargs -0 clang-format-14 -i

coverage:
	bash scripts/coverage.sh

fuzz:
	bash tests/fuzz/run.sh $(FUZZ_SECONDS)

bench: build
	build/release/tessera bench --json

install: build
	DESTDIR=$(DESTDIR) cmake --install build/release $(if $(PREFIX),--prefix $(PREFIX))

package:
	@bash scripts/install-deps.sh package
	cmake --preset package
	cmake --build --preset package -j $(JOBS)
	cd build/package && rm -f *.deb && cpack -G DEB

clean:
	rm -rf build
