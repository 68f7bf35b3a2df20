"""Collections and their versions: which index each name means, and how one version takes over from another.

A collection is an alias, name → live version. A version is one index: made by one encoder, of one kind, in one place.
All of it is rows of the database, so any number of ingresses, retrievers and builders agree without talking.

How a version takes over (a *build*: `crossray reindex`, or `promote` of one that was kept):

1. The version is `building`. Who writes keeps a view of the catalog that is at most VIEW_S old *when its write is
   done*; the builder waits longer than that before it walks. So a write is either in the live index before the walk
   begins, or its writer knows of the build.
2. A writer that knows of a build puts the ids it touched into the journal before it acknowledges, after the index has
   taken the write. An id in the journal is only that: the builder reads what the live version holds of it then. A
   delete is an id that is not there.
3. The builder walks the live version by id and makes what the new one lacks, then what the journal names, again and
   again. One task does both in turn, so what a walk read is never written after what was newer.
4. `swapping` asks writers to wait, SWAP_S at the most; it only lets the journal run dry and is not what keeps writes.
   That is the last transaction: it points the alias at the new version if the journal is empty, else it does nothing.
5. A writer whose write went to a version that is no longer live learns it in the transaction of its journal entry
   (`Moved`), and does the write again in the one that is: before the swap it is in the journal, after it is in the new.

A builder that was killed is followed by another, which finds what is done by reading it. A version that goes is
`dropping` until its files are gone, so that is taken up again too. Reads need none of this: a reader with a view from
before the swap asks the version of before, with its encoder.
"""
