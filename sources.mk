# What each program and each unit test is made of; a unit names exactly the sources it links.
PROGRAMS = supervisord ckptd ckpt-worker ckpt-archive perdure perdure-init

COMMON_SRC = common/log.c common/fs.c common/proc.c common/dirs.c common/peer.c \
             common/ckpt_spec.c common/ckpt_spec_bus.c

# Programs under test, run as services by tests/flow and tests/bench.
TEST_PROGRAMS = heartbeat eventful appender ghost forker linewriter notifier stepkill journal
heartbeat_SRC = tests/programs/heartbeat.c
eventful_SRC = tests/programs/eventful.c
appender_SRC = tests/programs/appender.c
ghost_SRC = tests/programs/ghost.c
forker_SRC = tests/programs/forker.c
journal_SRC = tests/programs/journal.c
linewriter_SRC = tests/programs/linewriter.c
stepkill_SRC = tests/programs/stepkill.c
TEST_PROGRAMS += stepfail asengine reseal
reseal_SRC = tests/programs/reseal.c $(MANIFEST_SRC) $(FILES_SRC)
reseal_PKG = jansson libsodium
stepfail_SRC = $(addprefix tests/programs/,stepfail.c tracee.c disk.c)
asengine_SRC = tests/programs/asengine.c common/dump_request.c common/ckpt_spec.c \
               common/ckpt_spec_bus.c common/handoff.c common/fdpass.c common/peer.c \
               common/proc.c common/fs.c common/dirs.c
asengine_PKG = libsystemd
notifier_SRC = tests/programs/notifier.c

# Text forms (spans, sizes, words, names) and the policies made of them.
TEXT_SRC = common/strv.c common/words.c common/timespan.c common/bytesize.c common/nearest.c \
           common/signame.c
POLICY_SRC = supervisord/policy.c supervisord/settings.c supervisord/policy_set.c supervisord/policy_file.c \
             supervisord/policy_keys.c supervisord/policy_values.c supervisord/policy_lists.c \
             supervisord/policy_exec.c supervisord/policy_exit.c supervisord/policy_limits.c \
             supervisord/policy_specifier.c supervisord/policy_env.c supervisord/policy_host.c
UNITS += test_timespan test_bytesize test_nearest test_words test_policy test_policy_store \
         test_policy_file test_policy_env
test_timespan_SRC = tests/common/test_timespan.c common/timespan.c
test_bytesize_SRC = tests/common/test_bytesize.c common/bytesize.c
test_nearest_SRC = tests/common/test_nearest.c common/nearest.c
test_words_SRC = tests/common/test_words.c common/words.c common/strv.c common/signame.c
test_policy_SRC = tests/supervisord/test_policy.c $(POLICY_SRC) $(TEXT_SRC) common/fs.c common/dirs.c
test_policy_PKG = inih
test_policy_store_SRC = tests/supervisord/test_policy_store.c $(POLICY_SRC) $(TEXT_SRC) common/fs.c \
                        common/dirs.c
test_policy_store_PKG = inih
test_policy_file_SRC = tests/supervisord/test_policy_file.c $(POLICY_SRC) $(TEXT_SRC) common/fs.c \
                       common/dirs.c
test_policy_file_PKG = inih
test_policy_env_SRC = tests/supervisord/test_policy_env.c $(POLICY_SRC) $(TEXT_SRC) common/fs.c \
                      common/dirs.c
test_policy_env_PKG = inih

# The command.
perdure_SRC = ctl/main.c ctl/report.c ctl/client.c ctl/table.c ctl/text.c ctl/verb_status.c \
              ctl/verb_control.c ctl/verb_checkpoints.c ctl/verb_logs.c ctl/log_file.c \
              ctl/verb_check.c ctl/verb_run.c ctl/run_folders.c ctl/run_files.c \
              ctl/run_policy.c \
              common/fs.c common/proc.c common/dirs.c common/peer.c $(POLICY_SRC) $(TEXT_SRC)
perdure_PKG = libsystemd jansson inih
UNITS += test_text test_table test_log_file test_run_policy
test_text_SRC = tests/ctl/test_text.c ctl/text.c common/timespan.c common/bytesize.c
test_text_PKG = jansson
test_table_SRC = tests/ctl/test_table.c ctl/table.c
test_log_file_SRC = tests/ctl/test_log_file.c ctl/log_file.c
test_run_policy_SRC = tests/ctl/test_run_policy.c ctl/run_policy.c $(POLICY_SRC) $(TEXT_SRC) \
                      common/fs.c common/dirs.c
test_run_policy_PKG = inih

# ---- supervisord: POLICY_SRC (INI to struct) and KEEPER_SRC are named below with their tests ----
ENGINE_SRC = supervisord/engine.c supervisord/manager.c supervisord/manager_keeper.c \
             supervisord/manager_ckpt.c supervisord/manager_select.c supervisord/manager_policy.c supervisord/control.c \
             supervisord/control_calls.c supervisord/control_json.c supervisord/notify.c \
             supervisord/pid_file.c supervisord/stop_command.c supervisord/spawn.c \
             supervisord/cgroup_root.c supervisord/record.c supervisord/service.c \
             supervisord/service_judge.c supervisord/ladder.c supervisord/resume.c \
             supervisord/keeper_client.c supervisord/control_wait.c supervisord/control_store.c common/utf8.c
supervisord_SRC = supervisord/main.c $(ENGINE_SRC) $(KEEPER_SRC) $(POLICY_SRC) $(COMMON_SRC) \
                  $(TEXT_SRC)
supervisord_PKG = libsystemd jansson inih

UNITS += test_service test_ladder test_record test_resume test_utf8 test_fs test_proc test_dirs
test_resume_SRC = tests/supervisord/test_resume.c supervisord/resume.c
test_utf8_SRC = tests/common/test_utf8.c common/utf8.c
test_service_SRC = tests/supervisord/test_service.c supervisord/service.c supervisord/service_judge.c supervisord/ladder.c \
                   $(POLICY_SRC) $(TEXT_SRC) common/fs.c common/dirs.c
test_service_PKG = inih
test_ladder_SRC = tests/supervisord/test_ladder.c supervisord/ladder.c
test_record_SRC = tests/supervisord/test_record.c supervisord/record.c supervisord/service.c \
                  supervisord/service_judge.c \
                  supervisord/ladder.c $(POLICY_SRC) $(TEXT_SRC) common/fs.c common/dirs.c
test_record_PKG = inih
test_fs_SRC = tests/common/test_fs.c common/fs.c
test_proc_SRC = tests/common/test_proc.c common/proc.c common/fs.c
test_dirs_SRC = tests/common/test_dirs.c common/dirs.c common/fs.c

# A manifest and what reading it needs; files of an image in another form than CRIU's.
MANIFEST_SRC = image/manifest.c image/manifest_read.c image/keys.c image/pack_name.c
PACK_SRC = $(addprefix image/,keys.c stream.c crypt.c zstd.c pack.c pack_name.c)

# Images against their parents.
DELTA_SRC = $(addprefix image/,delta.c delta_pages.c pages.c pages_writer.c pagemap.c untracked.c content.c)

# What a checkpoint on disk is made of; both ckptd and its workers read it.
IMAGE_SRC = $(addprefix image/,checkpoint.c manifest.c manifest_read.c pb.c image_scan.c image_timers.c stats.c \
	hash.c seal.c restorable.c host.c chain.c $(notdir $(PACK_SRC)) $(notdir $(DELTA_SRC)))

# ckpt-worker: the only program in which libcriu runs.
ckpt-worker_SRC = $(addprefix worker/,main.c mode.c report.c open.c scratch.c dump.c rebase.c restore.c selftest.c criu.c watchdog.c \
	diagnose.c criu_log.c explain.c facts.c tree.c hook.c real_ids.c kdat.c netlock.c verify.c background.c) \
	$(IMAGE_SRC) \
	$(addprefix common/,log.c fs.c proc.c dirs.c ckpt_spec.c session.c members.c reason.c \
	dump_request.c)
ckpt-worker_PKG = criu jansson libsodium libzstd

ckpt-worker_SRC += $(addprefix worker/,files_keep.c files_back.c held.c real_file.c)

UNITS += test_keys test_pack test_seal test_chain
FILES_SRC = common/fs.c common/proc.c common/dirs.c
test_keys_SRC = tests/image/test_keys.c tests/image/folder.c image/keys.c common/fs.c
test_keys_PKG = libsodium
test_pack_SRC = tests/image/test_pack.c tests/image/folder.c $(PACK_SRC) common/fs.c
test_pack_PKG = libsodium libzstd

UNITS += test_pagemap test_delta
test_pagemap_SRC = tests/image/test_pagemap.c tests/image/synthetic.c tests/image/folder.c image/pagemap.c image/pb.c \
                   $(PACK_SRC) common/fs.c
test_pagemap_PKG = libsodium libzstd
test_delta_SRC = tests/image/test_delta.c tests/image/synthetic.c tests/image/folder.c $(DELTA_SRC) image/pb.c \
                 $(PACK_SRC) common/fs.c
test_delta_PKG = libsodium libzstd
TEST_PROGRAMS += deltatool memory
deltatool_SRC = tests/programs/deltatool.c $(DELTA_SRC) image/pb.c $(PACK_SRC) common/fs.c
deltatool_PKG = libsodium libzstd
memory_SRC = tests/programs/memory.c
test_seal_SRC = tests/image/test_seal.c tests/image/folder.c tests/image/sample.c image/seal.c \
                image/hash.c $(MANIFEST_SRC) image/host.c common/reason.c $(PACK_SRC) $(FILES_SRC)
test_seal_PKG = jansson libsodium libzstd
test_chain_SRC = tests/image/test_chain.c tests/image/folder.c tests/image/sample.c image/chain.c \
                 image/checkpoint.c image/host.c common/reason.c $(MANIFEST_SRC) $(FILES_SRC)
test_chain_PKG = jansson libsodium
UNITS += test_verify
test_verify_SRC = tests/worker/test_verify.c tests/image/folder.c tests/image/sample.c worker/verify.c \
                  worker/open.c worker/report.c worker/background.c image/chain.c image/checkpoint.c \
                  image/seal.c image/hash.c $(MANIFEST_SRC) image/host.c common/reason.c $(PACK_SRC) \
                  $(FILES_SRC)
test_verify_PKG = jansson libsodium libzstd

UNITS += test_files_back
test_files_back_SRC = tests/worker/test_files_back.c tests/image/sample.c worker/files_back.c \
                      worker/real_file.c worker/tree.c image/restorable.c image/host.c \
                      image/content.c $(MANIFEST_SRC) common/reason.c $(PACK_SRC) $(FILES_SRC)
test_files_back_PKG = jansson libsodium libzstd

UNITS += test_explain test_criu_log test_stats test_image_scan test_hash
test_explain_SRC = tests/worker/test_explain.c worker/explain.c
test_criu_log_SRC = tests/worker/test_criu_log.c worker/criu_log.c
test_stats_SRC = tests/image/test_stats.c image/stats.c image/pb.c common/fs.c
test_image_scan_SRC = tests/image/test_image_scan.c image/image_scan.c image/image_timers.c image/pb.c common/fs.c
test_hash_SRC = tests/image/test_hash.c image/hash.c

# ---- supervisord: the keeper ----
KEEPER_SRC = supervisord/keeper.c supervisord/keeper_daemon.c supervisord/keeper_engine.c \
             supervisord/keeper_service.c supervisord/keeper_restore.c supervisord/keeper_reap.c \
             supervisord/keeper_stream.c supervisord/keeper_adopt.c supervisord/keeper_slot.c \
             supervisord/keeper_child.c supervisord/keeper_cgroup.c supervisord/keeper_proto.c \
             supervisord/spawn_spec.c supervisord/pump.c supervisord/orphan.c \
             common/handoff.c common/fdpass.c
perdure-init_SRC = supervisord/init.c

UNITS += test_spawn_spec test_keeper_proto test_pump test_keeper_slot test_keeper \
         test_keeper_cgroup
test_spawn_spec_SRC = tests/supervisord/test_spawn_spec.c supervisord/spawn_spec.c
test_keeper_proto_SRC = tests/supervisord/test_keeper_proto.c supervisord/keeper_proto.c \
                        common/fdpass.c common/handoff.c
test_pump_SRC = tests/supervisord/test_pump.c supervisord/pump.c common/fs.c common/log.c
test_pump_PKG = libsystemd
test_keeper_slot_SRC = tests/supervisord/test_keeper_slot.c supervisord/keeper_slot.c \
                       supervisord/keeper_proto.c supervisord/pump.c common/fdpass.c common/fs.c \
                       common/log.c common/proc.c common/dirs.c
test_keeper_slot_PKG = libsystemd
KEEPER_TEST_SRC = tests/supervisord/keeper_harness.c $(KEEPER_SRC) common/fs.c common/log.c \
                  common/proc.c common/dirs.c
test_keeper_SRC = tests/supervisord/test_keeper.c $(KEEPER_TEST_SRC)
test_keeper_PKG = libsystemd
test_keeper_cgroup_SRC = tests/supervisord/test_keeper_cgroup.c $(KEEPER_TEST_SRC)
test_keeper_cgroup_PKG = libsystemd

# ---- ckptd: STORE_SRC is what a store and the answers about it are made of ----
STORE_SRC = ckptd/store.c ckptd/store_change.c image/checkpoint.c ckptd/retention.c $(MANIFEST_SRC) common/reason.c \
            common/fs.c common/proc.c common/dirs.c
ckptd_SRC = ckptd/main.c ckptd/bus.c ckptd/json.c ckptd/manager.c ckptd/manager_dump.c ckptd/job.c \
            ckptd/worker_run.c common/session.c ckptd/staging.c ckptd/space.c ckptd/schedule.c \
            ckptd/probe.c ckptd/select.c image/restorable.c image/host.c ckptd/preflight.c \
            ckptd/unix_peer.c common/members.c ckptd/bus_calls.c \
            ckptd/bus_store.c ckptd/task.c ckptd/upkeep.c ckptd/manager_store.c \
            common/dump_request.c $(STORE_SRC) common/log.c common/peer.c common/ckpt_spec.c common/ckpt_spec_bus.c \
            common/handoff.c common/fdpass.c common/bytesize.c common/strv.c
ckptd_PKG = libsystemd jansson libsodium

UNITS += test_retention
test_retention_SRC = tests/ckptd/test_retention.c ckptd/retention.c

UNITS += test_store test_manifest test_schedule test_restorable
test_store_SRC = tests/ckptd/test_store.c tests/image/sample.c ckptd/staging.c image/host.c \
                 $(STORE_SRC)
test_store_PKG = jansson libsodium
test_manifest_SRC = tests/image/test_manifest.c tests/image/sample.c tests/image/folder.c image/host.c $(MANIFEST_SRC) \
                    common/fs.c common/proc.c common/dirs.c
test_manifest_PKG = jansson libsodium
test_schedule_SRC = tests/ckptd/test_schedule.c ckptd/schedule.c
test_restorable_SRC = tests/image/test_restorable.c tests/image/sample.c image/restorable.c \
                      image/host.c $(MANIFEST_SRC) common/fs.c common/proc.c common/dirs.c
test_restorable_PKG = jansson libsodium

UNITS += test_preflight test_ckptd
test_preflight_SRC = tests/ckptd/test_preflight.c ckptd/preflight.c common/members.c common/reason.c common/fs.c \
                     common/bytesize.c
test_ckptd_SRC = tests/ckptd/test_ckptd.c tests/image/sample.c image/checkpoint.c image/host.c \
                 $(MANIFEST_SRC) common/fs.c common/proc.c common/dirs.c common/handoff.c \
                 common/fdpass.c common/peer.c common/strv.c common/ckpt_spec.c \
                 common/ckpt_spec_bus.c
test_ckptd_PKG = libsystemd jansson libsodium
$(BUILD)/unit/test_ckptd: | $(BUILD)/ckptd

UNITS += test_space test_dump_request
test_space_SRC = tests/ckptd/test_space.c tests/image/sample.c ckptd/space.c common/members.c \
                 image/host.c common/bytesize.c $(STORE_SRC)
test_space_PKG = jansson libsodium
test_dump_request_SRC = tests/common/test_dump_request.c common/dump_request.c common/ckpt_spec.c \
                        common/dirs.c common/fs.c
test_dump_request_PKG = libsystemd

# ---- what a checkpoint holds, and what changed from one to another ----
DESCRIBE_SRC = $(addprefix image/,describe.c describe_memory.c describe_objects.c describe_socket.c \
	compare.c compare_memory.c pagemap.c pages.c content.c stats.c pb.c)
ckpt-worker_SRC += $(DESCRIBE_SRC) worker/describe.c worker/diff.c worker/json.c common/utf8.c
ckptd_SRC += common/utf8.c
perdure_SRC += ctl/verb_list.c ctl/verb_show.c ctl/verb_diff.c ctl/verb_store.c ctl/tree.c ctl/progress.c

UNITS += test_describe test_tree test_progress
test_describe_SRC = tests/image/test_describe.c tests/image/folder.c $(DESCRIBE_SRC) $(MANIFEST_SRC) \
                    $(PACK_SRC) $(FILES_SRC)
test_describe_PKG = jansson libsodium libzstd
test_tree_SRC = tests/ctl/test_tree.c ctl/tree.c
test_progress_SRC = tests/ctl/test_progress.c ctl/progress.c common/bytesize.c common/proc.c common/fs.c

# ---- a test restore ----
ckpt-worker_SRC += $(addprefix worker/,drill.c sandbox.c world.c mounts.c bind.c stand_in.c survey.c \
	survey_files.c)

UNITS += test_survey
test_survey_SRC = tests/worker/test_survey.c worker/survey.c worker/survey_files.c image/pb.c common/fs.c \
                  common/reason.c

# ---- a checkpoint as one file ----
ARCHIVE_SRC = image/archive.c image/archive_names.c image/receive.c
ckpt-worker_SRC += worker/unpack.c worker/archive_json.c
ckpt-archive_SRC = $(addprefix worker/,archive_main.c mode.c report.c open.c scratch.c background.c \
	export.c import.c archive_json.c explain.c) $(ARCHIVE_SRC) image/image_users.c $(IMAGE_SRC) \
	$(addprefix common/,log.c fs.c proc.c dirs.c reason.c)
ckpt-archive_PKG = jansson libsodium libzstd libarchive

UNITS += test_archive test_image_users
test_archive_SRC = tests/image/test_archive.c tests/image/sample.c tests/image/folder.c $(ARCHIVE_SRC) image/seal.c image/hash.c \
                   image/host.c $(MANIFEST_SRC) $(PACK_SRC) $(FILES_SRC) common/reason.c
test_archive_PKG = libarchive jansson libsodium libzstd
test_image_users_SRC = tests/image/test_image_users.c tests/image/folder.c image/image_users.c image/pb.c common/fs.c
perdure_SRC += ctl/verb_archive.c
