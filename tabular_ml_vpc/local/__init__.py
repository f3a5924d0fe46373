"""Runs a compiled pipeline definition on this machine, with the toolkits that AWS's images use.

Nothing here prints: `execution.run` interprets a definition and notifies an observer.

- `store`: folders in place of S3.
- `sandbox`, `jobs`, `serving`: processes with a folder as /opt/ml, and jobs and endpoints as such.
- `service`: what each type of step creates; `execution`, `record`: one run and its record.
- `inputs`: checks the user's input before anything starts.
- `runs`, `smoke`: a run of `build.py local`, and the requests to its endpoint.
- `emulator`: an emulated AWS.

With its own definition, S3 and SageMaker, an emulated AWS runs it like this::

    host = jobs.JobHost(sandbox.find(environment), store, folder)  # any store.ObjectStore
    runners = service.LocalService(host).runners() | {"Model": my_create_model}
    host = execution.Host(runners, store.read, requests.checker(), observe)
    execution.run(definition, execution.new_execution(definition, parameters, name), host)
"""
