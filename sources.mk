# What each program and each unit test is made of: sets of sources that belong together, then the
# programs, those that tests run, and the units by folder. A unit names exactly the sources it links;
# NAME_SRC are the sources of NAME, NAME_PKG the libraries that pkg-config knows.
in = $(addprefix $(1)/,$(2))

# ---- sets ----

FILES_SRC = $(call in,common,fs.c proc.c dirs.c)
SPEC_SRC = $(call in,common,ckpt_spec.c ckpt_spec_bus.c)
HANDOFF_SRC = $(call in,common,handoff.c fdpass.c)

# Text forms (spans, sizes, words, names) and the policies made of them.
TEXT_SRC = $(call in,common,strv.c words.c timespan.c bytesize.c nearest.c signame.c)
POLICY_SRC = $(call in,supervisord,policy.c settings.c policy_set.c policy_file.c policy_keys.c \
	policy_values.c policy_lists.c policy_exec.c policy_exit.c policy_limits.c \
	policy_specifier.c policy_env.c policy_host.c)

# A manifest and what reading it needs; files of an image in another form than CRIU's; images against
# their parents; a checkpoint on disk, for ckptd and its workers; what it holds; it as one file.
MANIFEST_SRC = $(call in,image,manifest.c manifest_read.c keys.c pack_name.c)
PACK_SRC = $(call in,image,keys.c stream.c crypt.c zstd.c pack.c pack_name.c)
DELTA_SRC = $(call in,image,delta.c delta_pages.c pages.c pages_writer.c pagemap.c vma.c untracked.c content.c)
IMAGE_SRC = $(MANIFEST_SRC) $(PACK_SRC) $(DELTA_SRC) $(call in,image,checkpoint.c chain.c seal.c hash.c \
	restorable.c host.c image_scan.c image_timers.c stats.c pb.c)
DESCRIBE_SRC = $(call in,image,describe.c describe_memory.c describe_objects.c describe_socket.c \
	compare.c compare_memory.c pagemap.c pages.c vma.c content.c stats.c pb.c)
ARCHIVE_SRC = $(call in,image,archive.c archive_names.c receive.c)

# The store as ckptd has it.
STORE_SRC = $(call in,ckptd,store.c store_change.c retention.c) image/checkpoint.c $(MANIFEST_SRC) \
	common/reason.c $(FILES_SRC)

SERVICE_SRC = $(call in,supervisord,service.c service_judge.c ladder.c)
KEEPER_SRC = $(call in,supervisord,keeper.c keeper_daemon.c keeper_engine.c keeper_service.c \
	keeper_restore.c keeper_reap.c keeper_stream.c keeper_adopt.c keeper_slot.c keeper_child.c \
	keeper_cgroup.c keeper_proto.c spawn_spec.c pump.c orphan.c) $(HANDOFF_SRC)
ENGINE_SRC = $(SERVICE_SRC) $(call in,supervisord,engine.c manager.c manager_keeper.c manager_ckpt.c \
	manager_select.c manager_policy.c control.c control_calls.c control_json.c control_store.c \
	control_wait.c notify.c pid_file.c stop_command.c spawn.c cgroup_root.c record.c resume.c \
	keeper_client.c)

# ---- programs ----

PROGRAMS = supervisord ckptd ckpt-worker ckpt-archive perdure perdure-init

supervisord_SRC = supervisord/main.c $(ENGINE_SRC) $(KEEPER_SRC) $(POLICY_SRC) $(TEXT_SRC) \
	$(SPEC_SRC) $(FILES_SRC) $(call in,common,log.c peer.c utf8.c)
supervisord_PKG = libsystemd jansson inih

ckptd_SRC = $(call in,ckptd,main.c bus.c bus_calls.c bus_store.c json.c manager.c manager_dump.c \
	manager_settings.c manager_store.c upkeep.c job.c task.c command.c worker_run.c staging.c \
	space.c schedule.c probe.c select.c preflight.c unix_peer.c) \
	$(STORE_SRC) $(call in,image,restorable.c host.c) $(SPEC_SRC) $(HANDOFF_SRC) \
	$(call in,common,log.c peer.c session.c members.c dump_request.c bytesize.c strv.c utf8.c)
ckptd_PKG = libsystemd jansson libsodium

# The only program in which libcriu runs: all modes, then dump, restore, test restore, the rest.
ckpt-worker_SRC = $(call in,worker,main.c mode.c report.c open.c claim.c scratch.c background.c \
	dump.c commit.c facts.c files_keep.c held.c real_ids.c netlock.c \
	restore.c files_back.c real_file.c hook.c tree.c \
	criu.c watchdog.c diagnose.c criu_log.c explain.c kdat.c selftest.c \
	drill.c sandbox.c world.c mounts.c bind.c stand_in.c survey.c survey_files.c \
	rebase.c verify.c describe.c diff.c json.c unpack.c archive_json.c) \
	$(IMAGE_SRC) $(DESCRIBE_SRC) $(FILES_SRC) \
	$(call in,common,log.c ckpt_spec.c session.c members.c reason.c dump_request.c utf8.c)
ckpt-worker_PKG = criu jansson libsodium libzstd

ckpt-archive_SRC = $(call in,worker,archive_main.c mode.c report.c open.c claim.c scratch.c background.c \
	export.c import.c archive_json.c explain.c) \
	$(ARCHIVE_SRC) image/image_users.c $(IMAGE_SRC) $(FILES_SRC) $(call in,common,log.c reason.c)
ckpt-archive_PKG = jansson libsodium libzstd libarchive

perdure_SRC = $(call in,ctl,main.c report.c client.c progress.c table.c text.c tree.c verb_status.c \
	verb_control.c verb_checkpoints.c verb_list.c verb_show.c verb_diff.c verb_store.c \
	verb_archive.c verb_logs.c log_file.c verb_check.c verb_run.c run_folders.c run_files.c \
	run_policy.c) $(POLICY_SRC) $(TEXT_SRC) $(FILES_SRC) common/peer.c
perdure_PKG = libsystemd jansson inih

perdure-init_SRC = supervisord/init.c

# ---- programs that tests run: services first, then tools ----

TEST_PROGRAMS = heartbeat eventful appender ghost forker linewriter notifier journal memory \
	listener stepkill stepfail asengine reseal deltatool

heartbeat_SRC = tests/programs/heartbeat.c
eventful_SRC = tests/programs/eventful.c
appender_SRC = tests/programs/appender.c
ghost_SRC = tests/programs/ghost.c
forker_SRC = tests/programs/forker.c
linewriter_SRC = tests/programs/linewriter.c
notifier_SRC = tests/programs/notifier.c
journal_SRC = tests/programs/journal.c
memory_SRC = tests/programs/memory.c
listener_SRC = tests/programs/listener.c common/peer.c
listener_PKG = libsystemd

stepkill_SRC = tests/programs/stepkill.c
stepfail_SRC = $(call in,tests/programs,stepfail.c tracee.c disk.c)
asengine_SRC = tests/programs/asengine.c $(SPEC_SRC) $(HANDOFF_SRC) $(FILES_SRC) \
	$(call in,common,dump_request.c peer.c)
asengine_PKG = libsystemd
reseal_SRC = tests/programs/reseal.c $(MANIFEST_SRC) $(FILES_SRC)
reseal_PKG = jansson libsodium
deltatool_SRC = tests/programs/deltatool.c $(DELTA_SRC) image/pb.c $(PACK_SRC) common/fs.c
deltatool_PKG = libsodium libzstd

# ---- units ----

UNITS = test_fs test_proc test_dirs test_timespan test_bytesize test_nearest test_words test_utf8 \
	test_dump_request \
	test_manifest test_keys test_pack test_seal test_hash test_chain test_restorable test_pagemap \
	test_delta test_describe test_stats test_image_scan test_image_users test_archive \
	test_store test_retention test_space test_schedule test_preflight test_ckptd \
	test_claim test_verify test_files_back test_survey test_explain test_criu_log \
	test_policy test_policy_store test_policy_file test_policy_env test_service test_ladder \
	test_record test_resume test_spawn_spec test_pump test_keeper test_keeper_proto \
	test_keeper_slot test_keeper_cgroup \
	test_text test_table test_tree test_progress test_log_file test_run_policy

# common
test_fs_SRC = tests/common/test_fs.c common/fs.c
test_proc_SRC = tests/common/test_proc.c common/proc.c common/fs.c
test_dirs_SRC = tests/common/test_dirs.c common/dirs.c common/fs.c
test_timespan_SRC = tests/common/test_timespan.c common/timespan.c
test_bytesize_SRC = tests/common/test_bytesize.c common/bytesize.c
test_nearest_SRC = tests/common/test_nearest.c common/nearest.c
test_words_SRC = tests/common/test_words.c $(call in,common,words.c strv.c signame.c)
test_utf8_SRC = tests/common/test_utf8.c common/utf8.c
test_dump_request_SRC = tests/common/test_dump_request.c \
	$(call in,common,dump_request.c ckpt_spec.c dirs.c fs.c)
test_dump_request_PKG = libsystemd

# image
test_manifest_SRC = $(call in,tests/image,test_manifest.c sample.c folder.c) image/host.c \
	$(MANIFEST_SRC) $(FILES_SRC)
test_manifest_PKG = jansson libsodium
test_keys_SRC = $(call in,tests/image,test_keys.c folder.c) image/keys.c common/fs.c
test_keys_PKG = libsodium
test_pack_SRC = $(call in,tests/image,test_pack.c folder.c) $(PACK_SRC) common/fs.c
test_pack_PKG = libsodium libzstd
test_seal_SRC = $(call in,tests/image,test_seal.c folder.c sample.c) $(call in,image,seal.c hash.c host.c) \
	$(MANIFEST_SRC) $(PACK_SRC) $(FILES_SRC) common/reason.c
test_seal_PKG = jansson libsodium libzstd
test_hash_SRC = tests/image/test_hash.c image/hash.c
test_chain_SRC = $(call in,tests/image,test_chain.c folder.c sample.c) \
	$(call in,image,chain.c checkpoint.c host.c) $(MANIFEST_SRC) $(FILES_SRC) common/reason.c
test_chain_PKG = jansson libsodium
test_restorable_SRC = $(call in,tests/image,test_restorable.c sample.c) $(call in,image,restorable.c host.c) \
	$(MANIFEST_SRC) $(FILES_SRC)
test_restorable_PKG = jansson libsodium
test_pagemap_SRC = $(call in,tests/image,test_pagemap.c synthetic.c folder.c) \
	$(call in,image,pagemap.c pb.c) $(PACK_SRC) common/fs.c
test_pagemap_PKG = libsodium libzstd
test_delta_SRC = $(call in,tests/image,test_delta.c synthetic.c folder.c) $(DELTA_SRC) image/pb.c \
	$(PACK_SRC) common/fs.c
test_delta_PKG = libsodium libzstd
test_describe_SRC = $(call in,tests/image,test_describe.c folder.c) $(DESCRIBE_SRC) $(MANIFEST_SRC) \
	$(PACK_SRC) $(FILES_SRC)
test_describe_PKG = jansson libsodium libzstd
test_stats_SRC = tests/image/test_stats.c $(call in,image,stats.c pb.c) common/fs.c
test_image_scan_SRC = $(call in,tests/image,test_image_scan.c folder.c) \
	$(call in,image,image_scan.c image_timers.c vma.c pb.c) common/fs.c
test_image_users_SRC = $(call in,tests/image,test_image_users.c folder.c) \
	$(call in,image,image_users.c pb.c) common/fs.c
test_archive_SRC = $(call in,tests/image,test_archive.c sample.c folder.c) $(ARCHIVE_SRC) \
	$(call in,image,seal.c hash.c host.c) $(MANIFEST_SRC) $(PACK_SRC) $(FILES_SRC) common/reason.c
test_archive_PKG = libarchive jansson libsodium libzstd

# ckptd
test_store_SRC = tests/ckptd/test_store.c tests/image/sample.c ckptd/staging.c image/host.c $(STORE_SRC)
test_store_PKG = jansson libsodium
test_retention_SRC = tests/ckptd/test_retention.c ckptd/retention.c
test_space_SRC = tests/ckptd/test_space.c tests/image/sample.c ckptd/space.c image/host.c $(STORE_SRC) \
	$(call in,common,members.c bytesize.c)
test_space_PKG = jansson libsodium
test_schedule_SRC = tests/ckptd/test_schedule.c ckptd/schedule.c
test_preflight_SRC = tests/ckptd/test_preflight.c ckptd/preflight.c \
	$(call in,common,members.c reason.c fs.c bytesize.c)
test_ckptd_SRC = tests/ckptd/test_ckptd.c tests/image/sample.c $(call in,image,checkpoint.c host.c) \
	$(MANIFEST_SRC) $(SPEC_SRC) $(HANDOFF_SRC) $(FILES_SRC) $(call in,common,peer.c strv.c)
test_ckptd_PKG = libsystemd jansson libsodium
$(BUILD)/unit/test_ckptd: | $(BUILD)/ckptd

# worker
test_claim_SRC = tests/worker/test_claim.c tests/image/folder.c worker/claim.c common/fs.c
test_verify_SRC = tests/worker/test_verify.c $(call in,tests/image,folder.c sample.c) \
	$(call in,worker,verify.c open.c report.c background.c) \
	$(call in,image,chain.c checkpoint.c seal.c hash.c host.c) $(MANIFEST_SRC) $(PACK_SRC) \
	$(FILES_SRC) common/reason.c
test_verify_PKG = jansson libsodium libzstd
test_files_back_SRC = tests/worker/test_files_back.c tests/image/sample.c \
	$(call in,worker,files_back.c real_file.c tree.c) $(call in,image,restorable.c host.c content.c) \
	$(MANIFEST_SRC) $(PACK_SRC) $(FILES_SRC) common/reason.c
test_files_back_PKG = jansson libsodium libzstd
test_survey_SRC = tests/worker/test_survey.c $(call in,worker,survey.c survey_files.c) image/pb.c \
	$(call in,common,fs.c reason.c)
test_explain_SRC = tests/worker/test_explain.c worker/explain.c
test_criu_log_SRC = tests/worker/test_criu_log.c worker/criu_log.c

# supervisord
POLICY_TEST_SRC = $(POLICY_SRC) $(TEXT_SRC) $(call in,common,fs.c dirs.c)
test_policy_SRC = tests/supervisord/test_policy.c $(POLICY_TEST_SRC)
test_policy_PKG = inih
test_policy_store_SRC = tests/supervisord/test_policy_store.c $(POLICY_TEST_SRC)
test_policy_store_PKG = inih
test_policy_file_SRC = tests/supervisord/test_policy_file.c $(POLICY_TEST_SRC)
test_policy_file_PKG = inih
test_policy_env_SRC = tests/supervisord/test_policy_env.c $(POLICY_TEST_SRC)
test_policy_env_PKG = inih
test_service_SRC = tests/supervisord/test_service.c $(SERVICE_SRC) $(POLICY_TEST_SRC)
test_service_PKG = inih
test_ladder_SRC = tests/supervisord/test_ladder.c supervisord/ladder.c
test_record_SRC = tests/supervisord/test_record.c supervisord/record.c $(SERVICE_SRC) $(POLICY_TEST_SRC)
test_record_PKG = inih
test_resume_SRC = tests/supervisord/test_resume.c supervisord/resume.c
test_spawn_spec_SRC = tests/supervisord/test_spawn_spec.c supervisord/spawn_spec.c
test_pump_SRC = tests/supervisord/test_pump.c supervisord/pump.c $(call in,common,fs.c log.c)
test_pump_PKG = libsystemd
KEEPER_TEST_SRC = tests/supervisord/keeper_harness.c $(KEEPER_SRC) $(FILES_SRC) common/log.c
test_keeper_SRC = tests/supervisord/test_keeper.c $(KEEPER_TEST_SRC)
test_keeper_PKG = libsystemd
test_keeper_cgroup_SRC = tests/supervisord/test_keeper_cgroup.c $(KEEPER_TEST_SRC)
test_keeper_cgroup_PKG = libsystemd
test_keeper_proto_SRC = tests/supervisord/test_keeper_proto.c supervisord/keeper_proto.c $(HANDOFF_SRC)
test_keeper_slot_SRC = tests/supervisord/test_keeper_slot.c \
	$(call in,supervisord,keeper_slot.c keeper_proto.c pump.c) common/fdpass.c $(FILES_SRC) common/log.c
test_keeper_slot_PKG = libsystemd

# ctl
test_text_SRC = tests/ctl/test_text.c ctl/text.c $(call in,common,timespan.c bytesize.c)
test_text_PKG = jansson
test_table_SRC = tests/ctl/test_table.c ctl/table.c
test_tree_SRC = tests/ctl/test_tree.c ctl/tree.c
test_progress_SRC = tests/ctl/test_progress.c ctl/progress.c $(call in,common,bytesize.c proc.c fs.c)
test_log_file_SRC = tests/ctl/test_log_file.c ctl/log_file.c
test_run_policy_SRC = tests/ctl/test_run_policy.c ctl/run_policy.c $(POLICY_TEST_SRC)
test_run_policy_PKG = inih
