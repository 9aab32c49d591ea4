"""The columns of the files of a results folder, each described once.

A line is `name | kind | unit | meaning`, or `name | kind | unit | mark | meaning`. An indented line
continues the meaning. `name!` is a column that is never null, `a.b` is the key `b` of the object
`a`. Readers check values by the kind (`records.shape`), `any` is not checked. Writers take names
and order from here, `stats.columnar` takes types. docs/results.md and docs/slog.md show the tables.

All columns belong to schema 1: a column that is added later is null in older folders, so adding
one does not change the schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, cast

Kind = Literal[
    "any", "text", "whole", "number", "time", "stage", "truth", "object", "texts", "objects",
    "words", "sizes", "vats", "times", "wholes",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """One column of rows, or one key of a document."""

    name: str
    kind: Kind
    unit: str
    mark: str
    """`C`: a counter; `*`: also in light samples. In FIGURE the first SDK that writes it, in USAGE
    the column of samples.jsonl with the same content.
    """
    meaning: str
    required: bool


def _columns(text: str) -> tuple[Column, ...]:
    found: list[Column] = []
    for line in text.strip().splitlines():
        if line.startswith(" "):
            found[-1] = replace(found[-1], meaning=f"{found[-1].meaning} {line.strip()}")
            continue
        name, kind, unit, *mark, meaning = (cell.strip() for cell in line.split("|"))
        required = name.endswith("!")
        known = cast("Kind", kind)
        found.append(
            Column(name.removesuffix("!"), known, unit, "".join(mark), meaning, required=required)
        )
    return tuple(found)


def names(*tables: Iterable[Column], mark: str = "") -> tuple[str, ...]:
    """The names of all columns in order, each once; with `mark`, only of those that have it."""
    columns = (column for table in tables for column in table)
    return tuple(dict.fromkeys(column.name for column in columns if mark in column.mark))


RUN: Final = _columns("""
schema | any | | number of the format; a reader refuses a newer one than its own
loadgenctl | text | | version that wrote the folder
started_at | time | s, epoch | start of the run
run_id | text | | random; part of the labels of its containers
sdk.family | text | | `agoric` or `sim`
sdk.requested | text | | revision as it was given
sdk.commit | text | | complete id of the commit
sdk.commit_time | time | s, epoch | time of the commit
sdk.content_id | any | | the commit; without one, or with local changes, a hash
sdk.repository | text | | where the sources come from, without credentials
sdk.dirty | truth | | the sources had changes that no commit has
sdk.era | any | | era of the SDK
sdk.simulated | truth | | the numbers say nothing about a real chain
sdk.deviations | texts | | what [overrides](site-settings.md) of the site changed in the build
image.tag | text | | image of the roles
image.id | text | | its id
plan.stages | objects | | stages in order; `plan` has every option as applied, in seconds and bytes
network | any | | document of the network that others run; null without one
test_data | object | | from `--test-data.*`
site | any | | name of the site
engine.kind | text | | `docker` or `local`
engine.version | text | | version of the engine
engine.details | any | | more about the engine
host.hostname | text | | name of the machine
host.kernel | any | | its Linux
host.machine | any | | its architecture
host.cpu | any | | model of its CPU
host.cpus | any | | number of its CPUs
host.memory_bytes | number | bytes | its memory
python | any | | version of Python
""")

PLAN_STAGE: Final = _columns("""
index | stage | | number of the stage
duration | number | s | planned time from ready to shutdown
cycles | whole | | cycles of each task
chain_only | truth | | stage without load
load | object | | config of the load
""")
"""What is read of one of `plan.stages`."""

STATUS: Final = _columns("""
outcome | text | | `running`, `passed`, `failed`, `died` (a role's process ended), `out-of-memory`
  (the same, killed by the kernel for that), `timeout` (something was not ready in time), `stalled`
  (no more blocks or cycles), `interrupted` (by a person, or killed), `error`
step | text | | what is done, or was done last
stage | stage | | stage of that step; null outside of stages
role | text | | role that failed
reason | text | | what went wrong; `role` and `reason` are written as soon as they are known, while
  the outcome is still `running`
hint | text | | what to do
exit_code | whole | | exit code of loadgenctl; null while running
role_exit_code | whole | | exit code of the failed role; 137 is SIGKILL, 139 SIGSEGV
oom_killed | truth | | the role ran out of memory
containers | objects | | how each container of a role ended, in order: `role`, `stage`, `exit_code`,
  `signal` (`SIGKILL`, …), `oom_killed`; null where it is not known
last_lines | texts | | end of the failed role's log; after a time limit also the state of the role
started_at | time | s, epoch | first start of the run
updated_at | time | s, epoch | last change of this file by the run
finished_at | time | s, epoch | last end of the run, by the clock of the start: later changes of the
  clock do not count
attempts | any | | all attempts of a resumed run, in order; else empty. `attempt` (number), `stage`
  from which it continued (null for the first), `state` (what the chain continued with), `options`
  (given with `--resume`), `began_at`, `ended_at` (s, epoch; of a killed attempt the time of its
  last record in perf.jsonl, events.jsonl or samples.jsonl), `outcome`, `reason`. How the last
  attempt ended is in the other keys
owner.pid | whole | | process that writes the folder
owner.start | text | | its start: of the boot, and within it; opaque
owner.host | text | | hash of host and pid namespace
""")

PERF: Final = _columns("""
timestamp | time | s | since the run's start
stage | stage | | -1 outside of stages
elapsed | time | s | since the stage's start; outside of stages, since the run's start
type! | text | | kind of the event
timeOrigin | time | s, epoch | time of timestamp 0
block | whole | | height
processType | text | | `kernel` or `vat`
vatID | text | | id of the vat
name | text | | name of the vat
chain | object | KiB | path below the storage folder: size on disk
stats | object | | numbers of the run, in the original's shape
""")

USAGE: Final = _columns("""
real | any | s | age_s | since the process began
blockIo | any | s | io_wait_s | waited for disks
childGuest | any | s | cpu_children_guest_s | CPU for virtual machines, of children that ended
childKernel | any | s | cpu_children_system_s | CPU in the kernel, of children that ended
childUser | any | s | cpu_children_user_s | CPU in user space, of children that ended
guest | any | s | cpu_guest_s | CPU for virtual machines
kernel | any | s | cpu_system_s | CPU in the kernel
user | any | s | cpu_user_s | CPU in user space
vmData | any | KiB | memory_data_kib | `VmData` of `/proc/PID/status`, as all below
vmExe | any | KiB | memory_code_kib | `VmExe`
vmHwm | any | KiB | memory_peak_rss_kib | `VmHWM`: peak of `vmRss`
vmLib | any | KiB | memory_libraries_kib | `VmLib`
vmLocked | any | KiB | memory_locked_kib | `VmLck`
vmPeak | any | KiB | memory_peak_vms_kib | `VmPeak`: peak of `vmSize`
vmPinned | any | KiB | memory_pinned_kib | `VmPin`
vmPte | any | KiB | memory_page_tables_kib | `VmPTE`
vmRss | any | KiB | memory_rss_kib | `VmRSS`
vmSize | any | KiB | memory_vms_kib | `VmSize`
vmStack | any | KiB | memory_stack_kib | `VmStk`
vmSwap | any | KiB | memory_swap_kib | `VmSwap`
rssAnon | any | KiB | memory_anon_kib | `RssAnon`
rssFile | any | KiB | memory_file_kib | `RssFile`
rssShmem | any | KiB | memory_shmem_kib | `RssShmem`
""")
"""Keys of `perf-chain-process-usage`, in the original's order."""

EVENT: Final = _columns("""
type! | text | | kind of the event
time | time | s, epoch | time of the event
stage | stage | | stage; the controller adds it
task | text | | name of the task
seq | whole | | number of the cycle
intended | time | s, epoch | when the cycle was due
duration | time | s | from the start
latency | time | s | from the time when the cycle was due
success | truth | | the cycle, or the preparation, succeeded
count | whole | | starts that were dropped
state | text | | state of driver or service
status | object | | counters by task
tasks | texts | | tasks of the driver
unavailable | words | | tasks that the driver cannot run, and why
""")
"""What is read of the load service's events (docs/load-service.md)."""

BLOCK: Final = _columns("""
stage! | stage | | stage
blockHeight! | whole | | height
blockTime | time | s, epoch | time of the block as agreed by consensus, whole seconds
liveMode | truth | | the end-block began when the chain was ready (`endStartAt` is not before
  `perf-chain-ready`); false: catching up
beforeShutdown | truth | | the end-block began before the stage's shutdown (`perf-stage-shutdown`)
beginAt | time | s, epoch | time of begin-block
endStartAt | time | s, epoch | time of end-block-start: the kernel starts to work
endFinishAt | time | s, epoch | time of end-block-finish
slogLines | whole | lines | between end-block-start and end-block-finish, without these two
deliveries | whole | | `deliver-result`s in the block that are no replay and have a crank number
firstCrankNum | whole | | first crank number of these; absent without any
lastCrankNum | whole | | highest crank number of these; absent without any
computrons | whole | computrons | sum of their `compute`; deliveries without metering add nothing
lag | number | s | `beginAt` minus `blockTime`
blockDuration | number | s | `endFinishAt` minus `endFinishAt` of the block before
chainBlockDuration | number | s | `blockTime` minus `blockTime` of the block before
idleTime | number | s | `beginAt` minus `endFinishAt` of the block before
cosmosTime | number | s | `endStartAt` minus `beginAt`
swingsetTime | number | s | `endFinishAt` minus `endStartAt`
processingTime | number | s | `endFinishAt` minus `beginAt`
swingsetPercentage | number | % | `swingsetTime` divided by `blockDuration`
processingPercentage | number | % | `processingTime` divided by `blockDuration`
""")

FIGURE: Final = _columns("""
bootstrap | truth | | Jan 2024 | true for the first block if it runs the core proposals of the
  [bootstrap](#the-bootstrap), else absent; from `cosmic-swingset-upgrade-start`
usedBeans | whole | beans | Sep 2022 | sum over the block's runs; a computron costs 100 of them by
  default; from `cosmic-swingset-run-finish`: `usedBeans`
runTime | number | s | Sep 2022 | sum over the block's runs of the kernel, from start to finish;
  from `cosmic-swingset-run-start`, `-finish`
leftoverTime | number | s | Dec 2024 | the same of one phase, by `phase` of these events; absent in
  a block without a run of it. Work that the limit of computrons had stopped in the block before
forcedTime | number | s | Dec 2024 | the same of this phase
priorityTime | number | s | Dec 2024 | the same of this phase (before 2025 `high-priority`)
timerTime | number | s | Dec 2024 | the same of this phase
inboundTime | number | s | Dec 2024 | the same of this phase (before 2025 `queued`)
cleanupTime | number | s | Dec 2024 | the same of this phase
actions | whole | | Mar 2025 | actions from outside that the block executed; from
  `end-block-finish`: `processedActionCounts`
queuedAtStart | whole | | Mar 2025 | actions in the queues when the end-block began; from
  `end-block-finish`: `inboundQueueStartLengths`
queuedAtEnd | whole | | Apr 2023 | actions that are still in the queues at its end; from
  `end-block-finish`: `inboundQueueStats`
runQueue | whole | | Oct 2022 | deliveries that wait in the kernel after the last run; from
  `kernel-stats`: `runQueueLength`
interBlockTime | number | s | Feb 2025 | from the end of the work after the last commit to
  begin-block; from `begin-block`: `interBlockSeconds`
hangoverTime | number | s | Feb 2025 | time that begin-block waited for this work; from
  `begin-block`: `afterCommitHangoverSeconds`
blockLag | number | s | Feb 2025 | time of the begin-block before, minus `blockTime`; from
  `begin-block`: `blockLagSeconds`
pageIns | whole | | | [vats that were paged in](#vats); from `start-replay`, `finish-replay`
evictions | whole | | | how many of these had been evicted before in the same process
replayedDeliveries | whole | | | deliveries replayed for them; from `deliver` with `replay`
pageInTime | number | s | | from the load of the heap snapshot, or without one the replay's start,
  to the replay's end; from `heap-snapshot-load`
snapshots | whole | | June 2022 | heap snapshots saved; from `heap-snapshot-save`
snapshotBytes | whole | bytes | Sep 2022 | their sizes together; from `uncompressedSize` (until Jan
  2023 `rawByteCount`)
snapshotCompressedBytes | whole | bytes | Sep 2022 | the same, compressed; from `compressedSize`
  (until Jan 2023 `compressedByteCount`)
snapshotTime | number | s | Sep 2022 | time to compress and save them; from `compressSeconds`,
  `dbSaveSeconds`, `rawSaveSeconds`
cleanupWork | whole | | Aug 2024 | entries of terminated vats that were deleted; from
  `vat-cleanup`: `work`
kernelObjects | whole | | Oct 2022 | objects in the kernel after the last run; from `kernel-stats`
kernelPromises | whole | | Oct 2022 | promises in the kernel after the last run
clistEntries | whole | | Oct 2022 | entries of c-lists after the last run
chainSaveTime | number | s | Apr 2023 | time to write the kernel's output for the chain; from
  `commit-block-finish`: `chainTime`
kernelSaveTime | number | s | June 2022 | time to commit the kernel's database; from `saveTime` of
  `commit-block-finish`, before it from commit-block-start to -finish
cosmosCommitTime | number | s | Feb 2025 | from then until the chain has committed; from
  `commit-block-finish`: `cosmosCommitSeconds`
fullSaveTime | number | s | Apr 2023 | from the end of the end-block until the chain has committed
kernelHeap | whole | bytes | June 2022 | V8's heap in the chain's process, used, after a forced
  garbage collection; from `after-commit-stats`: `memoryUsage`
kernelHeapTotal | whole | bytes | June 2022 | the same, allocated
kernelMemory | whole | bytes | June 2022 | resident memory of that process
gcTime | number | s | June 2022 | that garbage collection; from `statsTime.forcedGc`
""")
"""What only newer slogs have of a block, in the order in which it is written. Not checked."""

CYCLE: Final = _columns("""
stage! | stage | | stage
task! | text | | name of the task
seq | whole | | number of the cycle among the task's cycles of the stage, from 0
intended_start | time | s, epoch | when the schedule wanted the cycle to begin
start | time | s, epoch | when it began
finish | time | s, epoch | when it ended
duration_s | time | s | from `start` to `finish`, measured by the load service with a clock that is
  never set
latency_s | time | s | from `intended_start` to `finish`: with the wait for a free slot
success | truth | | whether it succeeded
error | text | | why it failed
inclusion_s | times | s | only of cycles through [smart wallets](clients.md), as all below: lists
  with one item for each offer, in order, null where not known. From sending the transaction until
  it was seen in a block
settlement_s | times | s | from sending it until the offer's outcome was seen
included_height | wholes | | block that has the transaction
settled_height | wholes | | block in which the outcome was published
gas | wholes | | what the transaction used
""")

SAMPLE: Final = _columns("""
time! | time | s, epoch | when it was read
stage | stage | | -1 outside of stages
source | text | | who read it: `docker`, `local` (without containers), `agent` or `controller`;
  `original` where a sample is made of an original's perf.jsonl
kind! | text | | `container`, `process` or `storage`
role | text | | `chain`, `solo`, `loadgen`, `holder`; `controller`: loadgenctl itself
subject | text | | container: the role. Process: `kernel`, a vat id (`v10`), `vats` (all workers
  together), `agent` and `controller` (what measuring costs). Storage: a file's path, or `.` for all
name | text | | name of a vat, by its worker's command line or else by the slog
reason | text | | why values are null; null when nothing is missing
""")
"""What every row has: `reason` last, the other columns first."""

CONTAINER: Final = _columns("""
epoch | whole | | | how often the counters started again: containers before this one
cpu_total_s | number | s | C | CPU of all its processes
cpu_user_s | number | s | C | of that, in user space; coarser than the total with version 1
cpu_system_s | number | s | C | of that, in the kernel; coarser than the total with version 1
cpu_periods | whole | | C | periods with a CPU limit; 0 without a limit
cpu_throttled_periods | whole | | C | periods in which the limit was reached
cpu_throttled_s | number | s | C | time held back by the limit
memory_bytes | whole | bytes | | memory without the page cache that can be dropped: usage minus
  `total_inactive_file` (version 1) or `inactive_file` (version 2)
memory_usage_bytes | whole | bytes | | with the page cache
memory_cache_bytes | whole | bytes | | the page cache alone
memory_peak_bytes | whole | bytes | | highest usage, with cache; null with version 2
memory_limit_bytes | whole | bytes | | the limit, or the machine's memory
network_rx_bytes | whole | bytes | C | received by all interfaces of the pod except loopback; only
  of the container that holds the network, null for those that joined it
network_tx_bytes | whole | bytes | C | the same, sent
block_read_bytes | whole | bytes | C | read from all devices; null where nothing went to one yet or
  the kernel does not count
block_write_bytes | whole | bytes | C | the same, written
pids | whole | | | processes and threads
""")

PROCESS: Final = _columns("""
pid | whole | | * | in the container
created_at | number | s, epoch | * | its start, to about 0.01 s
age_s | number | s | * | since its start
threads | whole | | * | number of threads
cpu_user_s | number | s | * | CPU of the process in user space; steps of 0.01 s
cpu_system_s | number | s | * | CPU of the process in the kernel
cpu_children_user_s | number | s | * | CPU in user space of its children that have ended
cpu_children_system_s | number | s | * | CPU in the kernel of its children that have ended
io_wait_s | number | s | * | waited for disks; 0 where the kernel does not account for it
memory_rss_kib | number | KiB | * | resident memory; in light samples the kernel's sum is a bit late
memory_peak_rss_kib | number | KiB | | highest resident memory
memory_vms_kib | number | KiB | | address space
memory_peak_vms_kib | number | KiB | | highest address space
memory_anon_kib | number | KiB | | resident memory of its own
memory_file_kib | number | KiB | | resident memory of files
memory_shmem_kib | number | KiB | | resident memory that is shared
memory_data_kib | number | KiB | | address space of data
memory_stack_kib | number | KiB | | address space of the stack
memory_code_kib | number | KiB | | address space of the program
memory_libraries_kib | number | KiB | | address space of libraries
memory_page_tables_kib | number | KiB | | page tables
memory_swap_kib | number | KiB | | memory that is swapped out
fds | whole | | | open files
io_read_bytes | whole | bytes | | read from disks
io_write_bytes | whole | bytes | | written to disks
""")

VATS: Final = _columns("""
workers | whole | | how many workers there are
cpu_user_s | number | s | CPU in user space of all, with those that ended as far as they were seen
cpu_system_s | number | s | the same in the kernel
memory_rss_kib | number | KiB | their resident memory
""")

AGENT: Final = _columns("""
cpu_s | number | s | CPU of the agent
memory_rss_kib | number | KiB | its resident memory
took_s | number | s | how long the reading took
""")

CONTROLLER: Final = _columns("""
pid | whole | | process of loadgenctl
cpu_user_s | number | s | its CPU in user space
cpu_system_s | number | s | its CPU in the kernel
memory_rss_kib | number | KiB | its resident memory
""")

STORAGE: Final = _columns("""
disk_kib | number | KiB | blocks that the file takes on disk
""")

AGENT_LINE: Final = _columns("""
kind! | text | | `start`, `light`, `full`, `end`
time | time | s, epoch | when it was read
request | text | | answers the request of this name
errors | words | | what could not be read, and why
kernel | object | | PROCESS of the chain's process
totals | object | | VATS
agent | object | | AGENT
vats | vats | | PROCESS of each worker, with `vat` and `name`
storage | sizes | KiB | path below the storage folder: size on disk
storage_total_kib | number | KiB | size of all state
""")
"""What the agent writes to `/out`, from where the controller takes it into samples.jsonl."""
